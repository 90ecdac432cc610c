//! Times as people and documents write them: RFC 3339.

use std::{fmt, str::FromStr};

use serde::{Deserializer, Serializer, de};

use crate::{Timestamp, time::civil_from_days};

/// A text that is no instant of RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a time of RFC 3339 with at most milliseconds, for example `2026-12-31T23:59:59Z`")]
pub struct NotATime;

impl FromStr for Timestamp {
    type Err = NotATime;

    /// Reads RFC 3339, section 5.6: a date, `T`, a time with up to three digits of a fraction, and `Z` or an offset. What
    /// `Display` writes is read back as the same instant.
    fn from_str(text: &str) -> Result<Self, NotATime> {
        let bytes = text.as_bytes();
        let number = |from: usize, to: usize| -> Result<i64, NotATime> {
            let digits = bytes.get(from..to).filter(|digits| digits.iter().all(u8::is_ascii_digit));
            let digits = digits.ok_or(NotATime)?;
            Ok(digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
        };
        let within = |value: i64, min: i64, max: i64| {
            if (min..=max).contains(&value) { Ok(value) } else { Err(NotATime) }
        };
        let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
        if marks.iter().any(|&(at, mark)| bytes.get(at) != Some(&mark)) {
            return Err(NotATime);
        }
        let (year, month) = (number(0, 4)?, within(number(5, 7)?, 1, 12)?);
        let days = days_from_civil(year, month, number(8, 10)?);
        if civil_from_days(days) != (year, month, number(8, 10)?) {
            return Err(NotATime);
        }
        let (hour, minute) = (within(number(11, 13)?, 0, 23)?, within(number(14, 16)?, 0, 59)?);
        let second = within(number(17, 19)?, 0, 59)?;
        let fraction = bytes.get(19).is_some_and(|&mark| mark == b'.');
        let digits =
            if fraction { bytes[20..].iter().take_while(|byte| byte.is_ascii_digit()).count() } else { 0 };
        if fraction && !(1..=3).contains(&digits) {
            return Err(NotATime);
        }
        let milli = [0, 100, 10, 1][digits] * number(20, 20 + digits).unwrap_or_default();
        let zone = if fraction { 20 + digits } else { 19 };
        let minutes_east = match (bytes.get(zone), bytes.len() - zone) {
            (Some(b'Z'), 1) => 0,
            (Some(sign @ (b'+' | b'-')), 6) if bytes[zone + 3] == b':' => {
                let (hours, minutes) = (number(zone + 1, zone + 3)?, number(zone + 4, zone + 6)?);
                let minutes = within(hours, 0, 23)? * 60 + within(minutes, 0, 59)?;
                if *sign == b'+' { minutes } else { -minutes }
            }
            _ => return Err(NotATime),
        };
        let seconds = ((days * 24 + hour) * 60 + minute - minutes_east) * 60 + second;
        Ok(Self::from_millis(seconds * 1000 + milli))
    }
}

/// The way back of [`civil_from_days`].
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Writes an optional time as RFC 3339, for `#[serde(with = "base::rfc3339")]`.
pub fn serialize<S: Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => to.collect_str(time),
        None => to.serialize_none(),
    }
}

/// Reads an optional time in RFC 3339.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    struct Reader;

    impl de::Visitor<'_> for Reader {
        type Value = Option<Timestamp>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a time, for example `2026-12-31T23:59:59Z`")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            text.parse().map(Some).map_err(|error| E::custom(format!("`{text}`: {error}")))
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }

    from.deserialize_any(Reader)
}

#[cfg(test)]
mod tests {
    use crate::Timestamp;

    #[test]
    fn reads_rfc_3339_and_nothing_else() {
        let at = |ms| Ok(Timestamp::from_millis(ms));
        for (text, ms) in [
            ("2026-11-22T15:04:05Z", 1_795_359_845_000),
            ("2026-11-22T15:04:05.6Z", 1_795_359_845_600),
            ("2026-11-22T16:34:05.678+01:30", 1_795_359_845_678),
            ("2026-11-22T14:04:05-01:00", 1_795_359_845_000),
        ] {
            assert_eq!(text.parse(), at(ms), "{text}");
        }
        for bad in [
            "",
            "2026-11-22",
            "2026-11-22T15:04:05",
            "2026-11-22 15:04:05Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T15:04:60Z",
            "2026-11-22T15:04:05.Z",
            "2026-11-22T15:04:05.1234Z",
            "2026-11-22T15:04:05+1:00",
            "2026-11-22T15:04:05Zx",
            "+026-11-22T15:04:05Z",
            "2026-11-22T15:04:05\u{e9}",
        ] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }
}
