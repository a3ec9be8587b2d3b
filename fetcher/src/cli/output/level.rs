//! How much is said of a pass.

use clap::{ArgAction, Args};

use super::Ended;
use crate::deploy::Verdict;
use crate::pass::Pass;
use crate::state::Outcome;

/// How much is said of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Everything: also why nothing was deployed, in a line.
    All,
    /// Deploys and failures; nothing where nothing was done.
    Deploys,
    /// Failures.
    Failures,
}

/// `-q`, as often as it is given.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Quiet {
    /// Say nothing where there is nothing to do; given twice, say only what failed
    #[arg(short, long, action = ArgAction::Count)]
    pub quiet: u8,
}

impl From<Quiet> for Level {
    fn from(quiet: Quiet) -> Self {
        match quiet.quiet {
            0 => Self::All,
            1 => Self::Deploys,
            _ => Self::Failures,
        }
    }
}

impl Level {
    /// Whether the steps of a deploy are told as they end.
    #[must_use]
    pub(crate) fn tells_steps(self) -> bool {
        self != Self::Failures
    }

    /// Whether what a pass came to is told.
    #[must_use]
    pub(crate) fn tells(self, ended: &Ended) -> bool {
        match self {
            Self::All => true,
            Self::Deploys => !well(ended) || attempted(ended),
            Self::Failures => !well(ended),
        }
    }
}

/// Whether a pass went well: the app is as it should be, as far as this pass can tell.
#[must_use]
pub(crate) fn well(ended: &Ended) -> bool {
    match ended {
        Ok(Pass::Completed(Verdict::Attempted(ended))) => ended.outcome == Outcome::Good,
        Ok(_) => true,
        Err(_) => false,
    }
}

fn attempted(ended: &Ended) -> bool {
    matches!(ended, Ok(Pass::Completed(Verdict::Attempted(_))))
}
