//! A revision in the mirror: it is compared, verified and checked out with the worker that has received it.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::Repository;
use super::fault::{environment_failure, refused_tree};
use super::lineage::{self, Question};
use crate::checkout::{self, Budget, CheckoutError, Planned, within};
use crate::deploy::code::Code;
use crate::deploy::source::{Candidate, Commit, Lineage, SourceError};
use crate::deploy::{FailureClass, Progress};
use crate::git::Remote;
use crate::git::fetch::LAST;
use crate::git::listing::ListedRevision;
use crate::revision::Revision;
use crate::space;
use crate::verify::{self, Keygen, SignedObject};
use crate::worker::{Client, WorkerError};

/// A fetched revision, proven by the ids in the listing.
pub(super) struct Fetched<'a> {
    pub(super) repository: &'a Repository,
    /// The worker that has the mirror open.
    pub(super) worker: Client,
    /// The conversation that brought the revision, if the server answers more requests over it.
    pub(super) remote: Option<Remote>,
    pub(super) listed: ListedRevision,
    /// The bytes of the tag object that the listing named, if it named one.
    pub(super) tag: Option<Vec<u8>>,
    /// The commit's bytes.
    pub(super) raw: Vec<u8>,
    pub(super) commit: Commit,
    /// The revision's tree, if it was walked while the forge was looking for commits.
    pub(super) planned: Option<Planned>,
}

/// Returns the limits of a checkout from the repository.
fn budget(repository: &Repository) -> Budget {
    let top = &repository.subdirectory;
    // Outside of what is written, nobody meets a submodule.
    let inside = |path: &Path| path.strip_prefix(top).ok().map(PathBuf::from);
    let submodules = repository.submodules.iter();
    Budget {
        subdirectory: top.clone(),
        submodules: submodules.filter_map(|s| inside(&s.path)).collect(),
        rules: repository.rules.clone(),
        ..Budget::default()
    }
}

impl Candidate for Fetched<'_> {
    fn commit(&self) -> &Commit {
        &self.commit
    }

    fn lineage(&mut self, other: &Revision) -> Result<Lineage, SourceError> {
        let (repository, commit) = (self.repository, self.listed.commit);
        let planned = &mut self.planned;
        let mut plan = |worker: &mut Client| {
            // The forge may be asked how the revision stands to two others.
            if planned.is_some() {
                return Ok(());
            }
            match checkout::plan(worker, commit, &budget(repository)) {
                Ok(plan) => *planned = Some(plan),
                // Whether the revision may be deployed is answered first: the checkout walks the tree again, and says
                // what is wrong with it. A worker that has lied or ended answers nothing more.
                Err(CheckoutError::Worker(WorkerError::Refused { .. })) => {}
                Err(CheckoutError::Worker(error)) => return Err(error),
                Err(_) => {}
            }
            Ok(())
        };
        let question = Question {
            repository,
            worker: &mut self.worker,
            remote: &mut self.remote,
            listed: &self.listed,
            meanwhile: &mut plan,
        };
        lineage::of(question, *other)
    }

    fn changes(&mut self, since: &Revision, paths: &[PathBuf]) -> Result<bool, SourceError> {
        let missing = self.worker.tips_without(*since, LAST);
        if missing.map_err(environment_failure)?.is_some() {
            return Ok(true);
        }
        let changed = within::differs(&mut self.worker, *since, self.listed.commit, paths);
        changed.map_err(refused_tree)
    }

    fn signer(&mut self, allowed_signers: &Path) -> Result<String, SourceError> {
        let signer = SignedObject::of(&self.listed, self.tag.as_deref(), &self.raw)
            .and_then(|object| verify::check(&object, allowed_signers, &Keygen::default()));
        let signer = signer.map_err(|error| match error.class() {
            FailureClass::Revision => {
                SourceError::revision(error.to_string()).with_code(Code::Signature)
            }
            FailureClass::Environment => SourceError::environment(error.to_string()),
        })?;
        Ok(signer.to_string())
    }

    fn check_out(
        &mut self,
        live: Option<&Path>,
        into: &Path,
        tick: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(), SourceError> {
        // The forge is not asked any more.
        self.remote = None;
        // Closed to the group until the whole tree is written ([`checkout::check_out`] opens it).
        let created = DirBuilder::new().mode(0o700).create(into);
        created.map_err(|e| {
            SourceError::environment(format!("{}: {e}{}", into.display(), space::advice(&e)))
        })?;
        let budget = budget(self.repository);
        let tree = (self.listed.commit, self.planned.take());
        let worker = &mut self.worker;
        let mut progress = |now: checkout::Progress| {
            tick(Progress::Checkout {
                files: now.files,
                of: now.of,
            });
        };
        // A checkout that has failed may have ended its worker; the next checkout has another worker.
        let live = live.map(PathBuf::from);
        let written =
            checkout::check_out(worker, tree, live.as_deref(), into, &budget, &mut progress);
        written.map(drop).map_err(refused_tree)
    }
}
