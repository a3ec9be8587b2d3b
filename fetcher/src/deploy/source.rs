//! Where revisions come from. Each value leads to the next: a source is polled, a listing fetched, and what
//! was fetched is verified and checked out.

use std::path::Path;

use super::failure::{Failure, FailureClass};
use super::journal::Progress;
use super::step::Step;
use crate::revision::Revision;
use crate::state::PassedOver;

/// A repository as the pipeline sees it: a remote one, and our mirror of it.
pub(crate) trait Source {
    /// One remote listing. Tags that are passed over do not count. Writes nothing.
    ///
    /// # Errors
    /// The forge cannot be asked, or has nothing of that name.
    fn poll<'a>(
        &'a self,
        passed_over: &[PassedOver],
    ) -> Result<Box<dyn Listing<'a> + 'a>, SourceError>;

    /// Has the mirror keep what the live revision needs, and tidied where that is due.
    ///
    /// # Errors
    /// The mirror cannot be written; nothing depends on it.
    fn keep(&self, live: &Revision) -> Result<(), SourceError>;
}

/// What a listing has shown, with the conversation that it came from.
pub(crate) trait Listing<'a> {
    /// What is followed points at this now.
    fn found(&self) -> &FollowedRevision;

    /// Brings what was found into the mirror, and tells `tick` how far it has come.
    ///
    /// # Errors
    /// The network, the forge, the disk, or what came is not what was asked for. A tag that stands for
    /// no commit is named in [`SourceError::no_commit`].
    fn fetch(
        self: Box<Self>,
        tick: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Box<dyn Candidate + 'a>, SourceError>;
}

/// A revision that was fetched.
pub(crate) trait Candidate {
    /// What its commit says of itself.
    fn commit(&self) -> &Commit;

    /// Whether `to` has `from` among its ancestors; one of them is the candidate. No, where one is not in the
    /// mirror.
    ///
    /// # Errors
    /// The mirror cannot be read.
    fn descends(&mut self, from: &Revision, to: &Revision) -> Result<bool, SourceError>;

    /// Who signed the candidate, as `allowed_signers` names them.
    ///
    /// # Errors
    /// Nobody who may (the revision's fault), or it cannot be found out.
    fn signer(&mut self, allowed_signers: &Path) -> Result<String, SourceError>;

    /// Writes the candidate's files into `into`, a directory that is not there yet, and tells `tick`
    /// how far it has come. What `live`, the live release's directory, already has may be copied
    /// from there if it is proved to be the same.
    ///
    /// # Errors
    /// A tree that is not accepted (the revision's fault), or the disk.
    fn check_out(
        &mut self,
        live: Option<&Path>,
        into: &Path,
        tick: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(), SourceError>;
}

/// What a listing has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FollowedRevision {
    /// What is followed points at this.
    pub revision: Revision,
    /// The tag it was found as, without `refs/tags/`, where tags are followed.
    pub tag: Option<String>,
    /// Tags that match and are no versions.
    pub unordered: Vec<String>,
}

/// What a commit says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Commit {
    /// The name of its author.
    pub author: String,
    /// The first line of its message.
    pub subject: String,
}

/// Why a source cannot do what is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceError {
    /// What happened, to what, why, and what to do.
    pub what: String,
    /// Whose fault it is.
    pub class: FailureClass,
    /// The tag that was to be fetched, if it stands for no commit.
    pub no_commit: Option<PassedOver>,
}

impl SourceError {
    /// Something around the revision.
    pub(crate) fn environment(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            class: FailureClass::Environment,
            no_commit: None,
        }
    }

    /// The revision itself.
    pub(crate) fn revision(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            class: FailureClass::Revision,
            no_commit: None,
        }
    }

    /// The failure of the step in which it came; a revision that is not accepted is refused.
    #[must_use]
    pub(crate) fn during(self, step: Step) -> Failure {
        match self.class {
            FailureClass::Revision => Failure::refused(step, self.what),
            FailureClass::Environment => Failure::environment(step, self.what),
        }
    }
}
