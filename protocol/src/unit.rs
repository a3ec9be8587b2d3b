//! The name of a unit, checked once and carried as a type from then on.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest unit name systemd itself accepts (`UNIT_NAME_MAX` is 256 with its final NUL).
pub const MAX_LEN: usize = 255;

/// A syntactically acceptable service name such as `gunicorn.todo_django.service`.
///
/// 1 to 255 bytes of `[A-Za-z0-9:_.@-]`, not beginning with `-` or `.`, ending in `.service`, and
/// not a template (`foo@.service`). No suffix is added, no case is folded and no pattern is expanded:
/// two names are the same only if their bytes are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnitName(String);

/// Why a string is not a name that a policy could ever allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnitNameError {
    /// No bytes at all.
    #[error("a unit name cannot be empty")]
    Empty,
    /// More than [`MAX_LEN`] bytes.
    #[error("a unit name has at most {MAX_LEN} bytes, this one has {0}")]
    TooLong(usize),
    /// A byte outside of `[A-Za-z0-9:_.@-]`; its position is counted from 1.
    #[error(
        "byte {0} is not one of A-Z a-z 0-9 : _ . @ - (names are compared to the letter: there are no wildcards)"
    )]
    Byte(usize),
    /// Begins with `-`, which programs read as an option, or with `.`.
    #[error("a unit name cannot begin with `-` or `.`")]
    Start,
    /// Does not end in `.service`, or is nothing but `.service`.
    #[error("only services can be restarted: write the whole name, ending in `.service`")]
    NotAService,
    /// A template such as `foo@.service`, of which only instances are units.
    #[error("this is a template: name the instance, such as `worker@1.service`")]
    Template,
}

impl UnitName {
    /// Checks `name` and returns it as a [`UnitName`].
    ///
    /// # Errors
    /// The first rule that `name` breaks, in the order of [`UnitNameError`]'s variants.
    pub fn parse(name: &str) -> Result<Self, UnitNameError> {
        let bytes = name.as_bytes();
        let allowed = |b: &u8| b.is_ascii_alphanumeric() || b":_.@-".contains(b);
        if bytes.is_empty() {
            return Err(UnitNameError::Empty);
        }
        if bytes.len() > MAX_LEN {
            return Err(UnitNameError::TooLong(bytes.len()));
        }
        if let Some(at) = bytes.iter().position(|b| !allowed(b)) {
            return Err(UnitNameError::Byte(at + 1));
        }
        if name.starts_with(['-', '.']) {
            return Err(UnitNameError::Start);
        }
        match name.strip_suffix(".service") {
            None | Some("") => Err(UnitNameError::NotAService),
            Some(stem) if stem.ends_with('@') => Err(UnitNameError::Template),
            Some(_) => Ok(Self(name.to_owned())),
        }
    }

    /// Returns the name, byte for byte as it was passed to [`UnitName::parse`].
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for UnitName {
    type Error = UnitNameError;

    fn try_from(name: String) -> Result<Self, UnitNameError> {
        Self::parse(&name)
    }
}

impl From<UnitName> for String {
    fn from(name: UnitName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rule_7_a_name_is_judged_by_its_bytes() {
        let long = |n: usize| format!("{}.service", "a".repeat(n - ".service".len()));
        for good in [
            "todo.service",
            "gunicorn.todo_django.service",
            "w@1.service",
            "a:b-c.service",
        ] {
            assert_eq!(UnitName::parse(good).map(String::from), Ok(good.to_owned()));
        }
        assert!(UnitName::parse(&long(255)).is_ok());
        for (bad, why) in [
            ("", UnitNameError::Empty),
            (&long(256), UnitNameError::TooLong(256)),
            ("todo.service ", UnitNameError::Byte(13)),
            ("to\0do.service", UnitNameError::Byte(3)),
            ("todo.service\n", UnitNameError::Byte(13)),
            ("*.service", UnitNameError::Byte(1)),
            ("../x.service", UnitNameError::Byte(3)),
            ("a b.service", UnitNameError::Byte(2)),
            ("tödo.service", UnitNameError::Byte(2)),
            ("-H.service", UnitNameError::Start),
            (".todo.service", UnitNameError::Start),
            ("todo", UnitNameError::NotAService),
            ("todo.SERVICE", UnitNameError::NotAService),
            ("todo.socket", UnitNameError::NotAService),
            ("foo@.service", UnitNameError::Template),
        ] {
            assert_eq!(UnitName::parse(bad), Err(why), "{bad:?}");
        }
        assert_eq!(UnitName::parse(".service"), Err(UnitNameError::Start));
    }

    proptest! {
        #[test]
        fn rule_7_whatever_passes_keeps_every_byte_and_every_limit(name in "\\PC{0,300}") {
            if let Ok(unit) = UnitName::parse(&name) {
                prop_assert_eq!(unit.as_str(), &name);
                prop_assert!(name.len() <= MAX_LEN && name.ends_with(".service"));
                prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b":_.@-".contains(&b)));
            }
        }
    }
}
