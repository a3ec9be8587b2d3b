//! Only green commits: asks the forge whether named checks of a commit have succeeded.
//!
//! - [`forge`]: what each forge is asked, over https with a token that may read.
//! - [`judge`]: what its answers mean, for the names that are asked for: pure.

pub(crate) mod forge;
mod judge;

use std::path::PathBuf;
use std::time::Duration;

use pp_web::{Forge, Url};

use crate::revision::Revision;

/// The settings.
#[derive(Debug, Clone)]
pub(crate) struct Checks {
    /// Which checks must have succeeded.
    pub which: Which,
    /// Which forge is asked.
    pub forge: Forge,
    /// The address of the forge's API.
    pub url: Url,
    /// The repository as the forge names it.
    pub repository: String,
    /// The file with the token; none for a public repository.
    pub token_file: Option<PathBuf>,
    /// How long checks that have not ended are waited for.
    pub within: Duration,
}

/// Which checks must have succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// Every check that the forge has of the commit, and at least one.
    All,
    /// These, by their names.
    Named(Vec<String>),
}

/// What the forge says of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The checks have succeeded.
    Green,
    /// A check has failed.
    Failed(String),
    /// A check has not ended, or has not begun.
    Pending(String),
    /// The forge does not answer, or not as it should.
    Unknown(String),
}

/// Whoever is asked for the checks of a commit.
pub(crate) trait CommitChecks {
    /// Asks for the checks of a commit.
    fn ask(&self, checks: &Checks, revision: &Revision) -> Verdict;
}
