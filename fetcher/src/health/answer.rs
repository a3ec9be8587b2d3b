//! What came of asking the health URL.

use std::time::Duration;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
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

impl Answer {
    /// A status and nothing else.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status {
            status,
            location: None,
        }
    }
}
