//! The traits of a source of revisions. Each leads to the next: polling a [`Source`] gives a [`Listing`],
//! fetching a listing gives a [`Candidate`], and a candidate is verified and checked out.

use std::path::{Path, PathBuf};

use super::code::Code;
use super::failure::{Failure, FailureClass};
use super::recorder::Progress;
use super::step::Step;
use crate::revision::Revision;
use crate::state::{PassedOver, Release};

/// A repository as the pipeline sees it: the remote repository together with its mirror.
pub(crate) trait Source {
    /// Lists the remote repository once. Tags in `passed_over` do not count. Writes nothing.
    ///
    /// # Errors
    /// The forge cannot be asked, or has no branch or tag of the configured name.
    fn poll<'a>(
        &'a self,
        passed_over: &[PassedOver],
    ) -> Result<Box<dyn Listing<'a> + 'a>, SourceError>;

    /// Makes the mirror keep the objects of the live revision, and tidies the mirror when that is due.
    ///
    /// # Errors
    /// The mirror cannot be written; no deploy depends on this.
    fn keep(&self, live: &Revision) -> Result<(), SourceError>;
}

/// A listing of the remote repository, with the conversation with the forge that it came from.
pub(crate) trait Listing<'a> {
    /// Gives the revision that the followed branch or tags point at now.
    fn found(&self) -> &FollowedRevision;

    /// Gives the listing for the live release's revision, whatever was found: a commit that is in the mirror already.
    #[must_use]
    fn instead(self: Box<Self>, live: &Release) -> Box<dyn Listing<'a> + 'a>;

    /// Fetches the found revision into the mirror, and reports the progress to `tick`.
    ///
    /// # Errors
    /// The network, the forge or the disk failed, or the objects received are not those requested. A tag that
    /// stands for no commit is named in [`SourceError::no_commit`].
    fn fetch(
        self: Box<Self>,
        tick: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Box<dyn Candidate + 'a>, SourceError>;
}

/// A revision that was fetched.
pub(crate) trait Candidate {
    /// Gives the author and the subject of the candidate's commit.
    fn commit(&self) -> &Commit;

    /// Finds out how the candidate stands to the revision `other`.
    ///
    /// # Errors
    /// The mirror cannot be read, or the forge cannot be asked.
    fn lineage(&mut self, other: &Revision) -> Result<Lineage, SourceError>;

    /// Whether any of `paths` is another in the candidate than in the revision `since`; `true` if the mirror does not
    /// have that revision any more.
    ///
    /// # Errors
    /// The mirror cannot be read, or a tree is not as git writes trees.
    fn changes(&mut self, since: &Revision, paths: &[PathBuf]) -> Result<bool, SourceError>;

    /// Gives the signer of the candidate, by the name in the file `allowed_signers`.
    ///
    /// # Errors
    /// No allowed signer signed the candidate (the revision's fault), or the signature cannot be checked.
    fn signer(&mut self, allowed_signers: &Path) -> Result<String, SourceError>;

    /// Writes the candidate's files into `into`, a directory that does not exist yet, and reports the
    /// progress to `tick`. A file may be copied from `live`, the live release's directory, if the
    /// file there is proved to be the same.
    ///
    /// # Errors
    /// The candidate's tree is not accepted (the revision's fault), or the disk failed.
    fn check_out(
        &mut self,
        live: Option<&Path>,
        into: &Path,
        tick: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(), SourceError>;
}

/// The result of a listing: the revision that is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FollowedRevision {
    /// The revision that the followed branch or tag points at.
    pub revision: Revision,
    /// The tag that points at the revision, without `refs/tags/`, if tags are followed.
    pub tag: Option<String>,
    /// Tags that match the pattern and are no versions.
    pub unordered: Vec<String>,
}

/// The author and the subject of a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Commit {
    /// The author's name.
    pub author: String,
    /// The first line of the commit's message.
    pub subject: String,
}

/// How one revision stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lineage {
    /// The revision has the other one among its ancestors: proven.
    Descendant,
    /// The other one has the revision among its ancestors, by the mirror's or the forge's word.
    Ancestor,
    /// Neither: the history was rewritten, or the revision is of another branch.
    Other,
}

/// An error of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceError {
    /// The message: the error, the thing it happened to, the reason, and the remedy.
    pub what: String,
    /// Whether the revision or its environment is at fault.
    pub class: FailureClass,
    /// The tag that was to be fetched, if it stands for no commit.
    pub no_commit: Option<PassedOver>,
    /// The word for the error, if more is known than the step in which it comes.
    pub code: Option<Code>,
}

impl SourceError {
    /// Makes an error whose cause is the revision's environment.
    pub(crate) fn environment(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            class: FailureClass::Environment,
            no_commit: None,
            code: None,
        }
    }

    /// Makes an error whose cause is the revision itself.
    pub(crate) fn revision(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            class: FailureClass::Revision,
            no_commit: None,
            code: None,
        }
    }

    /// Turns the error into the failure of `step`; an error of the revision becomes a refusal.
    #[must_use]
    pub(crate) fn during(self, step: Step) -> Failure {
        let code = self.code.unwrap_or(Code::of(step));
        let failure = match self.class {
            FailureClass::Revision => Failure::refused(step, self.what),
            FailureClass::Environment => Failure::environment(step, self.what),
        };
        failure.with_code(code)
    }

    /// Gives the error a word of its own.
    #[must_use]
    pub(crate) fn with_code(self, code: Code) -> Self {
        let code = Some(code);
        Self { code, ..self }
    }
}
