//! Numbers that keep their exact decimal value.

use std::{borrow::Cow, cmp::Ordering, fmt};

use super::{JsonError, JsonErrorKind, Limits, parse};

/// A JSON number: its text, and an order by exact decimal value (`1.0 == 1`, `1e400 > 1e399`).
#[derive(Clone)]
pub struct Number(Repr);

/// INVARIANT: a number whose text is exactly the decimal print of an `i64` is `Small`; everything else (fractions,
/// exponents, `-0`, larger integers) is `Text` and follows the grammar of RFC 8259, section 6.
#[derive(Clone)]
enum Repr {
    Small(i64),
    Text(Box<str>),
}

impl Number {
    /// The number that is written like this, within the default limits of digits and exponent.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let (number, end) = parse::number(text.as_bytes(), 0, Limits::default())?;
        if end == text.len() { Ok(number) } else { Err(JsonErrorKind::InvalidNumber.at(end)) }
    }

    /// `text` must follow the grammar. A point, an exponent or too many digits do not parse as `i64`, and `-0` would
    /// lose its sign.
    pub(super) fn from_checked(text: &str) -> Self {
        match text.parse::<i64>() {
            Ok(value) if text != "-0" => Self(Repr::Small(value)),
            _ => Self(Repr::Text(text.into())),
        }
    }

    /// The number exactly as it was written.
    pub fn as_text(&self) -> Cow<'_, str> {
        match &self.0 {
            Repr::Small(value) => Cow::Owned(value.to_string()),
            Repr::Text(text) => Cow::Borrowed(text),
        }
    }

    /// The value, if it is a whole number that fits. `10.0` and `1e1` are 10.
    pub fn as_i64(&self) -> Option<i64> {
        match &self.0 {
            Repr::Small(value) => Some(*value),
            Repr::Text(text) => i64::try_from(Decimal::of(text).to_i128()?).ok(),
        }
    }

    /// The value, if it is a whole number that fits.
    pub fn as_u64(&self) -> Option<u64> {
        match &self.0 {
            Repr::Small(value) => u64::try_from(*value).ok(),
            Repr::Text(text) => u64::try_from(Decimal::of(text).to_i128()?).ok(),
        }
    }

    /// Whether the value is a whole number, of any size.
    pub fn is_integer(&self) -> bool {
        match &self.0 {
            Repr::Small(_) => true,
            Repr::Text(text) => Decimal::of(text).is_integer(),
        }
    }

    /// The one text of this value: what ECMAScript's `Number::toString` and so RFC 8785, section 3.2.2.3 print, but
    /// applied to the exact decimal digits instead of the shortest digits of a binary float. Integers below 1e21
    /// print plainly; `-0` prints `0`.
    pub fn canonical(&self) -> Cow<'_, str> {
        match &self.0 {
            Repr::Small(value) => Cow::Owned(value.to_string()),
            Repr::Text(text) => Cow::Owned(Decimal::of(text).canonical()),
        }
    }

    pub(super) fn write_text(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Repr::Small(value) => write_i64(*value, out),
            Repr::Text(text) => out.extend_from_slice(text.as_bytes()),
        }
    }

    pub(super) fn write_canonical(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Repr::Small(value) => write_i64(*value, out),
            Repr::Text(text) => out.extend_from_slice(Decimal::of(text).canonical().as_bytes()),
        }
    }

    fn decimal(&self) -> Decimal {
        Decimal::of(&self.as_text())
    }
}

fn write_i64(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A decimal value in the only normal form: `0.d1 d2 ... dk * 10^point`, with neither leading nor trailing zeros.
/// Zero has no digits, point 0 and no sign.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    point: i64,
}

impl Decimal {
    fn of(text: &str) -> Self {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        // The parser bounds exponents far below the end of `i64`.
        let exponent: i64 = exponent.parse().unwrap_or(0);
        let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let leading = all.iter().take_while(|&&digit| digit == b'0').count();
        let trailing = all[leading..].iter().rev().take_while(|&&digit| digit == b'0').count();
        let digits = all[leading..all.len() - trailing].to_vec();
        if digits.is_empty() {
            return Self { negative: false, digits, point: 0 };
        }
        let signed = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
        let point = exponent.saturating_add(signed(whole.len())).saturating_sub(signed(leading));
        Self { negative, digits, point }
    }

    fn is_integer(&self) -> bool {
        self.digits.is_empty() || usize::try_from(self.point).is_ok_and(|point| point >= self.digits.len())
    }

    /// The value, if it is whole and has at most 38 digits.
    fn to_i128(&self) -> Option<i128> {
        if !self.is_integer() || self.point > 38 {
            return None;
        }
        let zeros = usize::try_from(self.point).ok()?.checked_sub(self.digits.len())?;
        let magnitude = self
            .digits
            .iter()
            .chain(std::iter::repeat_n(&b'0', zeros))
            .try_fold(0_i128, |value, digit| value.checked_mul(10)?.checked_add(i128::from(digit - b'0')))?;
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// ECMA-262, `Number::toString`, steps 5 to 10, on these digits.
    fn canonical(&self) -> String {
        let count = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        let sign = if self.negative { "-" } else { "" };
        let digits: String = self.digits.iter().map(|&digit| char::from(digit)).collect();
        let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
        match self.point {
            _ if digits.is_empty() => "0".into(),
            point if count <= point && point <= 21 => format!("{sign}{digits}{}", zeros(point - count)),
            point if 0 < point && point <= 21 => {
                let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
                format!("{sign}{whole}.{fraction}")
            }
            point if -6 < point && point <= 0 => format!("{sign}0.{}{digits}", zeros(-point)),
            point => {
                let (first, rest) = digits.split_at(1);
                let dot = if rest.is_empty() { "" } else { "." };
                format!("{sign}{first}{dot}{rest}e{:+}", point - 1)
            }
        }
    }

    fn cmp_magnitude(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.point.cmp(&other.point).then_with(|| self.digits.cmp(&other.digits)),
        }
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Repr::Small(a), Repr::Small(b)) = (&self.0, &other.0) {
            return a.cmp(b);
        }
        let (a, b) = (self.decimal(), other.decimal());
        match (a.negative, b.negative) {
            (false, false) => a.cmp_magnitude(&b),
            (true, true) => b.cmp_magnitude(&a),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_text())
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_text())
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(Repr::Small(value))
    }
}

impl From<i32> for Number {
    fn from(value: i32) -> Self {
        Self::from(i64::from(value))
    }
}

impl From<u32> for Number {
    fn from(value: u32) -> Self {
        Self::from(i64::from(value))
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or_else(|_| Self(Repr::Text(value.to_string().into())), Self::from)
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Self {
        Self::from(value as u64)
    }
}

impl From<&serde_json::Number> for Number {
    /// A `serde_json` number is an `i64`, a `u64` or a finite `f64`; the last prints as its shortest digits.
    fn from(number: &serde_json::Number) -> Self {
        Self::from_checked(&number.to_string())
    }
}
