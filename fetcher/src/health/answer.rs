//! What came of asking the health URL.

use std::time::Duration;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It answered.
    Status {
        /// With this status.
        status: u16,
        /// And sends us there.
        location: Option<String>,
    },
    /// It did not: a sentence.
    Failed(String),
    /// Nothing has come yet, for so long.
    Waiting(Duration),
}

#[cfg(test)]
impl Answer {
    /// An answer with this status that sends us nowhere.
    pub(crate) fn status(status: u16) -> Self {
        Self::Status {
            status,
            location: None,
        }
    }
}
