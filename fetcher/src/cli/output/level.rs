//! How much of a pass is reported.

use clap::{ArgAction, Args};

use super::PassResult;
use crate::deploy::Verdict;
use crate::pass::Pass;
use crate::state::Outcome;

/// How much of a pass is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Everything is reported: also, in one line, why nothing was deployed.
    All,
    /// Deploys and failures are reported; a pass that has done nothing is not.
    Deploys,
    /// Only failures are reported.
    Failures,
}

/// `-q`, as often as it is given.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct QuietOption {
    /// Say nothing where there is nothing to do; given twice, say only what failed
    #[arg(short, long, action = ArgAction::Count)]
    pub quiet: u8,
}

impl From<QuietOption> for Level {
    fn from(quiet: QuietOption) -> Self {
        match quiet.quiet {
            0 => Self::All,
            1 => Self::Deploys,
            _ => Self::Failures,
        }
    }
}

impl Level {
    /// Whether the steps of a deploy are reported as they end.
    #[must_use]
    pub(crate) fn tells_steps(self) -> bool {
        self != Self::Failures
    }

    /// Whether the result of a pass is reported.
    #[must_use]
    pub(crate) fn includes(self, ended: &PassResult) -> bool {
        match self {
            Self::All => true,
            Self::Deploys => !is_well(ended) || attempted(ended),
            Self::Failures => !is_well(ended),
        }
    }
}

/// Whether a pass went well: the app is as it should be, as far as the pass can find out.
#[must_use]
pub(crate) fn is_well(ended: &PassResult) -> bool {
    match ended {
        Ok(Pass::Completed(Verdict::Attempted(ended))) => ended.outcome == Outcome::Good,
        Ok(_) => true,
        Err(_) => false,
    }
}

fn attempted(ended: &PassResult) -> bool {
    matches!(ended, Ok(Pass::Completed(Verdict::Attempted(_))))
}
