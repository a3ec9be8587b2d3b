//! Finds the commits of submodules in proven trees.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use pp_objects::tree::{DIRECTORY, Entry, GITLINK, tree};
use pp_objects::{Kind, ObjectId, commit};

use crate::worker::error::FailureKind;
use crate::worker::{Client, WorkerError};

/// Returns the commit that `revision` names at `path`, if a submodule is there. The path may lead through
/// other submodules, whose commits must be in the mirror, too.
///
/// # Errors
/// An object cannot be read, or is not as git writes it.
pub(crate) fn commit_at(
    worker: &mut Client,
    revision: ObjectId,
    path: &Path,
) -> Result<Option<ObjectId>, WorkerError> {
    let malformed = || WorkerError::Refused {
        trouble: FailureKind::Other,
        why: format!("{} is no tree as git writes them", path.display()),
        errno: None,
    };
    let tree_of = |worker: &mut Client, id| -> Result<ObjectId, WorkerError> {
        let raw = worker.object(id, Kind::Commit)?;
        Ok(commit::commit(&raw).ok_or_else(malformed)?.tree)
    };
    let mut root = tree_of(worker, revision)?;
    let mut names = path.iter().peekable();
    while let Some(name) = names.next() {
        let entries = tree(&worker.object(root, Kind::Tree)?).ok_or_else(malformed)?;
        let named = |entry: &Entry| entry.name == name.as_bytes();
        let Some(entry) = entries.into_iter().find(named) else {
            return Ok(None);
        };
        let kind = entry.kind();
        if names.peek().is_none() {
            return Ok((kind == GITLINK).then_some(entry.id));
        }
        root = match kind {
            GITLINK => tree_of(worker, entry.id)?,
            DIRECTORY => entry.id,
            _ => return Ok(None),
        };
    }
    Ok(None)
}
