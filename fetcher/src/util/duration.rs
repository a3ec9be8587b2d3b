//! Durations as people write them: `90s`, `5m`, `1h30m`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A duration read from a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HumanDuration(pub Duration);

/// Longest duration taken: a year. More is a slip of the keyboard.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Reads `text` as a run of numbers with a unit each: `d`, `h`, `m`, `s` or `ms`.
///
/// # Errors
/// A sentence that says what was expected.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("`{text}` is not a duration; write it like \"90s\", \"5m\" or \"1h30m\"");
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let milliseconds = match unit {
            "ms" => Some(number),
            "s" => number.checked_mul(1000),
            "m" => number.checked_mul(60 * 1000),
            "h" => number.checked_mul(3600 * 1000),
            "d" => number.checked_mul(24 * 3600 * 1000),
            _ => return Err(wrong()),
        };
        total = milliseconds
            .and_then(|ms| total.checked_add(Duration::from_millis(ms)))
            .filter(|sum| *sum <= LONGEST)
            .ok_or_else(|| format!("`{text}` is longer than a year"))?;
        rest = tail;
    }
    Ok(total)
}

/// `620 ms`, `4.2 s`, `3 min 05 s`: as short as it can be without hiding anything that matters.
#[must_use]
pub(crate) fn human(duration: Duration) -> String {
    let (seconds, ms) = (duration.as_secs(), duration.as_millis());
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{}.{} s", seconds, duration.subsec_millis() / 100),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3600..172_800 => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = HumanDuration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration in quotes, such as \"90s\" or \"5m\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<HumanDuration, E> {
                parse(text).map(HumanDuration).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let s = Duration::from_secs;
        for (text, expected) in [
            ("90s", s(90)),
            ("5m", s(300)),
            ("1h30m", s(5400)),
            ("2d", s(172_800)),
            ("250ms", Duration::from_millis(250)),
            ("0s", s(0)),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "5",
            "m",
            "5 m",
            "-5m",
            "5w",
            "99999999999999999999s",
            "400d",
            "1.5h",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_written_short() {
        for (ms, text) in [
            (620, "620 ms"),
            (4_270, "4.2 s"),
            (185_000, "3 min 05 s"),
            (7_260_000, "2 h 01 min"),
        ] {
            assert_eq!(human(Duration::from_millis(ms)), text);
        }
    }
}
