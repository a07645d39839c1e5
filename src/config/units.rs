//! Durations and sizes as the configuration writes them: `500ms 30s 5m 4h 7d`, `64KiB 10MiB`.
//!
//! One number and one unit, no more: `1h30m` is `90m`. Zero needs no unit.

use super::decode::clip;
use serde::de::{Deserialize, Deserializer, Error};
use std::time::Duration;

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// Longer ones are a slip of the unit, and would overflow clocks.
const SPAN_MAX: Duration = Duration::from_secs(3653 * 24 * 3600);

const SPAN_UNITS_MS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

const SIZE_UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

impl Span {
    /// `500ms`, `30s`, `5m`, `4h`, `7d`; an error is what is wrong, and a hint behind a newline.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{}` is not a duration\nwrite a number and a unit: 500ms 30s 5m 4h 7d",
                clip(text)
            )
        };
        let (number, unit) = split_unit(text).ok_or_else(wrong)?;
        let unit_ms = match unit {
            "" if number == 0 => 1,
            unit => {
                SPAN_UNITS_MS
                    .iter()
                    .find(|(name, _)| *name == unit)
                    .ok_or_else(wrong)?
                    .1
            }
        };
        let span = number.checked_mul(unit_ms).map(Duration::from_millis);
        match span {
            Some(span) if span <= SPAN_MAX => Ok(Self(span)),
            Some(_) | None => Err(format!("`{}` is more than ten years", clip(text))),
        }
    }
}

impl Size {
    /// `64KiB`, `10MiB`, or a bare number of bytes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{}` is not a size\nwrite a number and a unit: 512B 64KiB 10MiB 1GiB",
                clip(text)
            )
        };
        let (number, unit) = split_unit(text).ok_or_else(wrong)?;
        let unit_bytes = match unit {
            "" => 1,
            unit => SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1,
        };
        number
            .checked_mul(unit_bytes)
            .map(Self)
            .ok_or_else(|| format!("`{}` is too large", clip(text)))
    }
}

/// A whole number and what follows it.
fn split_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..end].parse().ok()?;
    Some((number, text[end..].trim_start()))
}

/// The largest unit that says it without a fraction: `90m`, `4h`, `500ms`.
pub fn say_span(span: Duration) -> String {
    let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    match SPAN_UNITS_MS
        .iter()
        .rev()
        .find(|(_, unit_ms)| ms >= *unit_ms && ms.is_multiple_of(*unit_ms))
    {
        Some((unit, unit_ms)) => format!("{}{unit}", ms / unit_ms),
        None => "0s".to_owned(),
    }
}

/// The largest binary unit that says it without a fraction: `256KiB`.
pub fn say_size(bytes: u64) -> String {
    match SIZE_UNITS[..4]
        .iter()
        .rev()
        .find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit))
    {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => "0B".to_owned(),
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Span::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Size::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_with_their_units() {
        assert_eq!(Span::parse("500ms"), Ok(Span(Duration::from_millis(500))));
        assert_eq!(Span::parse("7d"), Ok(Span(Duration::from_secs(7 * 24 * 3600))));
        assert_eq!(Span::parse("5 m"), Ok(Span(Duration::from_secs(300))));
        assert_eq!(Span::parse("0"), Ok(Span(Duration::ZERO)));
        assert_eq!(Size::parse("256KiB"), Ok(Size(262_144)));
        assert_eq!(Size::parse("10MB"), Ok(Size(10_000_000)));
        assert_eq!(Size::parse("17"), Ok(Size(17)));
    }

    #[test]
    fn what_is_no_duration_or_size_is_refused() {
        for text in [
            "",
            "5",
            "m",
            "-5m",
            "1.5h",
            "1h30m",
            "5 minutes",
            "20000d",
            "18446744073709551615d",
        ] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
        for text in ["", "KiB", "-1B", "5k", "5kib", "99999999999999GiB", "1e6"] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_said_reads_back_as_the_same() {
        for text in ["500ms", "30s", "90m", "4h", "7d", "0s", "1500ms"] {
            assert_eq!(say_span(Span::parse(text).unwrap().0), text);
        }
        for text in ["17B", "256KiB", "10MiB", "3GiB", "0B", "1025B"] {
            assert_eq!(say_size(Size::parse(text).unwrap().0), text);
        }
    }
}
