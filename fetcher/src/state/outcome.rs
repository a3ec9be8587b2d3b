//! How an attempt ends, and the words for it.

use serde::{Deserialize, Serialize};

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The new release is live and healthy.
    Good,
    /// The revision was not accepted; nothing was switched.
    Refused,
    /// The attempt failed before the switch; nothing was switched.
    Failed,
    /// The new release was not healthy; the previous release serves again.
    RolledBack,
    /// The new release was not healthy, and there is no previous release, or that one is not healthy either.
    Stuck,
}

impl Outcome {
    /// Gives the word for the outcome in the output of `history` and in its JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::RolledBack => "rolled-back",
            Self::Stuck => "stuck",
        }
    }
}
