//! How an attempt ends.

use serde::{Deserialize, Serialize};

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is live and well.
    Good,
    /// The revision was not accepted; nothing was switched.
    Refused,
    /// It failed before the switch; nothing was switched.
    Failed,
    /// It was not well; the previous release serves again.
    RolledBack,
    /// It was not well, and there was no way back, or the way back is not well either.
    Stuck,
}

impl Outcome {
    /// The word in `history` and its JSON.
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
