//! The setting `health.expect`: which HTTP statuses of the health URL mean that the app is healthy. Written
//! as `200`, `"2xx"`, or a list of these.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// One HTTP status, or all statuses of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    One(u16),
    /// All statuses of a class, by their first digit: 2 for `2xx`.
    Class(u16),
}

/// The HTTP statuses that mean that the app is healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expect(Vec<Status>);

/// The accepted forms, for messages about a value that has none of them.
const RIGHT: &str = "a status from 100 to 599, a class such as \"2xx\", or a list of these";

impl Default for Expect {
    fn default() -> Self {
        Self(vec![Status::One(200)])
    }
}

impl Expect {
    /// Whether `status` is one of the expected statuses.
    #[must_use]
    pub(crate) fn has(&self, status: u16) -> bool {
        self.0.iter().any(|expected| match expected {
            Status::One(one) => *one == status,
            Status::Class(class) => *class == status / 100,
        })
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, status) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str(" or ")?;
            }
            match status {
                Status::One(one) => write!(f, "{one}")?,
                Status::Class(class) => write!(f, "{class}xx")?,
            }
        }
        Ok(())
    }
}

fn one(number: i64) -> Result<Status, String> {
    let status = u16::try_from(number).ok();
    let status = status.filter(|status| (100..600).contains(status));
    status
        .map(Status::One)
        .ok_or_else(|| format!("`{number}` is no HTTP status; write {RIGHT}"))
}

fn written(text: &str) -> Result<Status, String> {
    if let Some(class) = text.strip_suffix("xx")
        && let Ok(class @ 1..=5) = class.parse()
    {
        return Ok(Status::Class(class));
    }
    match text.parse() {
        Ok(number) => one(number),
        Err(_) => Err(format!("`{text}` is no HTTP status; write {RIGHT}")),
    }
}

impl<'de> Deserialize<'de> for Expect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Expect;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(RIGHT)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Expect, E> {
                one(number).map(|one| Expect(vec![one])).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Expect, E> {
                written(text)
                    .map(|one| Expect(vec![one]))
                    .map_err(E::custom)
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut all: A) -> Result<Expect, A::Error> {
                let mut statuses = Vec::new();
                while let Some(Expect(more)) = all.next_element()? {
                    statuses.extend(more);
                }
                if statuses.is_empty() {
                    return Err(de::Error::custom(format!("it is empty; write {RIGHT}")));
                }
                Ok(Expect(statuses))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Expect, String> {
        #[derive(Deserialize)]
        struct File {
            expect: Expect,
        }
        let read = toml::from_str::<File>(&format!("expect = {text}\n"));
        read.map(|file| file.expect)
            .map_err(|e| e.message().to_owned())
    }

    #[test]
    fn a_status_a_class_and_a_list_are_read() {
        for (text, shown, well, ill) in [
            ("200", "200", 200, 204),
            ("\"2xx\"", "2xx", 299, 300),
            ("\"302\"", "302", 302, 200),
            ("[200, 204]", "200 or 204", 204, 201),
            ("[\"2xx\", 401]", "2xx or 401", 401, 403),
        ] {
            let expect = read(text).unwrap();
            assert_eq!(expect.to_string(), shown);
            assert!(expect.has(well) && !expect.has(ill), "{text}");
        }
    }

    #[test]
    fn what_no_server_answers_is_refused() {
        for text in [
            "99", "600", "-1", "\"xx\"", "\"6xx\"", "[]", "true", "\"ok\"",
        ] {
            let why = read(text).unwrap_err();
            assert!(why.contains("a status from 100 to 599"), "{text}: {why}");
        }
    }
}
