//! Sizes as they are written in a configuration file: `512MiB`, `2GiB`.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// A number of bytes read from a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub u64);

/// Parses a number with its unit: `MiB` or `GiB`.
fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size; write it like \"512MiB\" or \"2GiB\"");
    let (number, shift) = match (text.strip_suffix("MiB"), text.strip_suffix("GiB")) {
        (Some(number), _) => (number, 20),
        (_, Some(number)) => (number, 30),
        _ => return Err(wrong()),
    };
    let number: u32 = number.trim_end().parse().map_err(|_| wrong())?;
    match number {
        0 => Err(wrong()),
        number => Ok(u64::from(number) << shift),
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size in quotes, such as \"512MiB\" or \"2GiB\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                parse(text).map(Size).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_unit() {
        assert_eq!(parse("512MiB"), Ok(512 << 20));
        assert_eq!(parse("2 GiB"), Ok(2 << 30));
        for text in ["", "2", "2GB", "0GiB", "-1GiB", "1.5GiB", "GiB"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
