//! Submodules, as proven trees name them.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::commit;
use super::object::{Id, Kind};
use super::tree::{DIRECTORY, Entry, GITLINK, tree};

/// The commit that `revision` wants at `path`, if a submodule is there. The path may lead through
/// other submodules, whose commits `get` has to give as well; it gives an object's bytes, proven by
/// its name.
///
/// # Errors
/// What `get` says; `bad` makes one of a path that is not what it should be.
pub fn at<E>(
    revision: Id,
    path: &Path,
    get: &mut dyn FnMut(Id, Kind) -> Result<Vec<u8>, E>,
    bad: impl Fn(&Path) -> E,
) -> Result<Option<Id>, E> {
    let mut root = tree_of(revision, get)?.ok_or_else(|| bad(path))?;
    let mut names = path.iter().peekable();
    while let Some(name) = names.next() {
        let entries = tree(&get(root, Kind::Tree)?).ok_or_else(|| bad(path))?;
        let named = |entry: &Entry| entry.name == name.as_bytes();
        let Some(entry) = entries.into_iter().find(named) else {
            return Ok(None);
        };
        let kind = entry.kind();
        if names.peek().is_none() {
            return Ok((kind == GITLINK).then_some(entry.id));
        }
        root = match kind {
            GITLINK => tree_of(entry.id, get)?.ok_or_else(|| bad(path))?,
            DIRECTORY => entry.id,
            _ => return Ok(None),
        };
    }
    Ok(None)
}

/// The tree that a commit names; none if it is not one as git writes them.
pub(super) fn tree_of<E>(
    commit: Id,
    get: &mut dyn FnMut(Id, Kind) -> Result<Vec<u8>, E>,
) -> Result<Option<Id>, E> {
    let bytes = get(commit, Kind::Commit)?;
    Ok(commit::commit(&bytes).map(|commit| commit.tree))
}
