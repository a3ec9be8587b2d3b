//! The answer of the health URL.

use std::time::Duration;

/// The result of a request to the health URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The health URL answered.
    Status {
        /// The HTTP status.
        status: u16,
        /// The `Location` header, if any.
        location: Option<String>,
    },
    /// The request failed: a sentence that says why.
    Failed(String),
    /// No answer has come yet; the time waited so far.
    Waiting(Duration),
}

#[cfg(test)]
impl Answer {
    /// Makes an answer with this status and no `Location` header.
    pub(crate) fn status(status: u16) -> Self {
        Self::Status {
            status,
            location: None,
        }
    }
}
