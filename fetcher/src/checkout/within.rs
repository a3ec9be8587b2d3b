//! Finds one path in the tree of a revision, without reading the rest of the tree: for `[deploy] subdirectory`, which is
//! checked out alone, and for `[deploy] paths`, whose change makes a revision worth a deploy.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use pp_objects::tree::{DIRECTORY, Entry, FILE, tree};
use pp_objects::{Kind, ObjectId, commit};

use super::error::{CheckoutError, Refusal};
use super::name::ATTRIBUTES;
use super::refusal::{malformed, refused};
use crate::worker::Objects;

/// A directory of a revision's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subtree {
    /// The directory's own tree.
    pub(super) tree: ObjectId,
    /// The `.gitattributes` files of the directories above it: they hold for its files as well. Each with its directory.
    pub(super) attributes_above: Vec<(PathBuf, ObjectId)>,
}

/// Finds the directory `path` in the tree `root` of a revision; an empty path is the tree itself.
///
/// # Errors
/// [`Refusal::NoDirectory`]: the revision has no such directory. Or an object cannot be read.
pub(super) fn subtree(
    objects: &mut dyn Objects,
    root: ObjectId,
    path: &Path,
) -> Result<Subtree, CheckoutError> {
    let mut at = PathBuf::new();
    let mut found = Subtree {
        tree: root,
        attributes_above: Vec::new(),
    };
    for part in path.components() {
        let entries = entries(objects, found.tree, &at)?;
        let named = |name: &[u8]| entries.iter().find(|entry| entry.name == name);
        if let Some(file) = named(ATTRIBUTES.as_bytes()).filter(|entry| entry.kind() == FILE) {
            found.attributes_above.push((at.clone(), file.id));
        }
        let next = named(part.as_os_str().as_bytes());
        at.push(part);
        match next.filter(|entry| entry.kind() == DIRECTORY) {
            Some(entry) => found.tree = entry.id,
            None => return Err(refused(&at, Refusal::NoDirectory)),
        }
    }
    Ok(found)
}

/// Whether any of `paths` differs between the trees of two revisions: in content, kind or mode, or by being in one of
/// them alone.
///
/// # Errors
/// An object cannot be read.
pub(crate) fn differs(
    objects: &mut dyn Objects,
    one: ObjectId,
    other: ObjectId,
    paths: &[PathBuf],
) -> Result<bool, CheckoutError> {
    let top = Path::new("");
    let (one, other) = (tree_of(objects, one, top)?, tree_of(objects, other, top)?);
    if one == other {
        return Ok(false);
    }
    for path in paths {
        if entry(objects, one, path)? != entry(objects, other, path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Gives kind, mode and id of what is at `path` in the tree `root`.
fn entry(
    objects: &mut dyn Objects,
    root: ObjectId,
    path: &Path,
) -> Result<Option<(u32, ObjectId)>, CheckoutError> {
    let mut at = PathBuf::new();
    let mut found = (DIRECTORY, root);
    for part in path.components() {
        let (mode, tree) = found;
        let Component::Normal(name) = part else {
            return Ok(None);
        };
        if mode != DIRECTORY {
            return Ok(None);
        }
        let entries = entries(objects, tree, &at)?;
        at.push(name);
        match entries.iter().find(|entry| entry.name == name.as_bytes()) {
            Some(entry) => found = (entry.mode, entry.id),
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

fn entries(
    objects: &mut dyn Objects,
    id: ObjectId,
    path: &Path,
) -> Result<Vec<Entry>, CheckoutError> {
    let raw = objects.read(Kind::Tree, &[id])?;
    let raw = raw.first().map(Vec::as_slice).unwrap_or_default();
    tree(raw).ok_or_else(|| malformed(path, id, "tree"))
}

/// Gives the tree of the commit `id`, whatever else is in the commit. `path` is where its tree stands.
///
/// # Errors
/// The commit cannot be read.
pub(super) fn tree_of(
    objects: &mut dyn Objects,
    id: ObjectId,
    path: &Path,
) -> Result<ObjectId, CheckoutError> {
    let raw = objects.read(Kind::Commit, &[id])?;
    let raw = raw.first().map(Vec::as_slice).unwrap_or_default();
    let commit = commit::commit(raw).ok_or_else(|| malformed(path, id, "commit"))?;
    Ok(commit.tree)
}
