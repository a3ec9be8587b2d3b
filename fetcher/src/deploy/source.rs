//! Where revisions come from.

use std::path::Path;

use super::failure::{Failure, FailureClass};
use super::journal::{Phase, Progress};
use crate::revision::Revision;
use crate::state::PassedOver;

/// A repository as the pipeline sees it: a remote one and our mirror of it.
pub trait Source {
    /// One remote listing: what is followed points at this now. Tags that are passed over do not count.
    /// Writes nothing.
    ///
    /// # Errors
    /// The forge cannot be asked, or has nothing of that name.
    fn poll(&mut self, passed_over: &[PassedOver]) -> Result<Found, SourceError>;

    /// Brings what was found into the mirror, and tells `tick` how far it has come.
    ///
    /// # Errors
    /// The network, the forge, the disk, or what came is not what was asked for. A tag that stands for
    /// no commit is named in [`SourceError::no_commit`].
    fn fetch(
        &mut self,
        found: &Found,
        tick: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Commit, SourceError>;

    /// Whether `to` has `from` among its ancestors; both are in the mirror after a fetch, or the
    /// answer is no.
    ///
    /// # Errors
    /// The mirror cannot be read.
    fn descends(&mut self, from: &Revision, to: &Revision) -> Result<bool, SourceError>;

    /// Who signed `revision`, which has just been fetched, as `allowed_signers` names them.
    ///
    /// # Errors
    /// Nobody who may (the revision's fault), or it cannot be found out.
    fn signer(
        &mut self,
        revision: &Revision,
        allowed_signers: &Path,
    ) -> Result<String, SourceError>;

    /// Writes a revision's files into `into`, a directory that is not there yet, and tells `tick`
    /// how far it has come. What `live`, the live release's directory, already has may be copied
    /// from there if it is proved to be the same.
    ///
    /// # Errors
    /// A tree that is not accepted (the revision's fault), or the disk.
    fn check_out(
        &mut self,
        revision: &Revision,
        live: Option<&Path>,
        into: &Path,
        tick: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(), SourceError>;

    /// A revision is live now: the mirror keeps what it needs, and is tidied where that is due.
    ///
    /// # Errors
    /// The mirror cannot be written; nothing depends on it.
    fn keep(&mut self, live: &Revision) -> Result<(), SourceError>;
}

/// What a listing has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What is followed points at this.
    pub revision: Revision,
    /// The tag it was found as, without `refs/tags/`, where tags are followed.
    pub tag: Option<String>,
    /// Tags that match and are no versions.
    pub unordered: Vec<String>,
}

/// What a commit says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its author's name.
    pub author: String,
    /// The first line of its message.
    pub subject: String,
}

/// Why a source cannot do what is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceError {
    /// What happened, to what, why, and what to do.
    pub what: String,
    /// Whose fault it is.
    pub class: FailureClass,
    /// The tag that was to be fetched, if it stands for no commit.
    pub no_commit: Option<PassedOver>,
}

impl SourceError {
    /// Something around the revision.
    pub fn environment(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            class: FailureClass::Environment,
            no_commit: None,
        }
    }

    /// The revision itself.
    pub fn revision(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            class: FailureClass::Revision,
            no_commit: None,
        }
    }

    /// The failure of the step in which it came; a revision that is not accepted is refused.
    #[must_use]
    pub fn during(self, phase: Phase) -> Failure {
        match self.class {
            FailureClass::Revision => Failure::refused(phase, self.what),
            FailureClass::Environment => Failure::environment(phase, self.what),
        }
    }
}
