//! Amounts of money, counted in cents: a sum of floats is not an account.

use std::fmt;

use serde_json::Number;

/// An amount in cents of a euro.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cents(i64);

impl Cents {
    pub(super) const ZERO: Self = Self(0);

    pub(super) const fn new(cents: i64) -> Self {
        Self(cents)
    }

    /// An amount in euros from a JSON number; none when it has fractions of a cent or is too large to be meant.
    pub(super) fn from_euros(euros: &Number) -> Option<Self> {
        let text = euros.to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 2 || whole.len() > 12 {
            return None;
        }
        format!("{whole}{fraction:0<2}").parse().ok().map(Self)
    }

    pub(super) const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let cents = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02} EUR", cents / 100, cents % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::Cents;

    #[test]
    fn euros_become_cents_exactly() {
        let cents =
            |text: &str| Cents::from_euros(&text.parse().expect("a JSON number")).map(|amount| amount.0);
        assert_eq!(cents("900"), Some(90_000));
        assert_eq!(cents("19.99"), Some(1_999));
        assert_eq!(cents("0.1"), Some(10));
        assert_eq!(cents("1.10"), Some(110));
        assert_eq!(cents("-3.5"), Some(-350));
        assert_eq!(cents("0.001"), None);
        assert_eq!(cents("1e300"), None);
    }

    #[test]
    fn prints_with_two_digits() {
        assert_eq!(Cents(1_905).to_string(), "19.05 EUR");
        assert_eq!(Cents(-5).to_string(), "-0.05 EUR");
    }
}
