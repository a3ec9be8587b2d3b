//! Checks that a received pack brings every object it should, before the mirror takes it.

use std::collections::HashSet;
use std::path::Path;

use git2::{ObjectType, Odb, Oid};

use super::Mirror;
use super::history::{has, links, oid, peel};
use pp_objects::tree::{DIRECTORY, FILE, LINK, tree};

/// Why a pack is refused.
pub(super) enum PackFault {
    /// The object that the pack had to bring is not a commit, but an object of this kind.
    NoCommit(&'static str),
    /// The pack is broken, or lacks objects.
    Broken(String),
}

impl From<git2::Error> for PackFault {
    fn from(error: git2::Error) -> Self {
        Self::Broken(error.message().to_owned())
    }
}

/// Checks that the commit at `id`, the whole history before it, and its whole tree are in the
/// mirror or in the object directory `incoming`. Objects that the mirror had before are taken as complete:
/// they passed the same check. Where the server says that the history ends (`boundary`), because it has no more or was
/// asked for no more, the mirror's history ends too; returns the commits at which it does.
///
/// The trees of older commits are not walked, as that would read all of a repository: nothing
/// deploys them, and a checkout finds by itself which objects are missing.
pub(super) fn check(
    mirror: &Mirror,
    incoming: &Path,
    id: Oid,
    boundary: &HashSet<Oid>,
) -> Result<HashSet<Oid>, PackFault> {
    let held = mirror.repository().odb()?;
    let both = mirror.objects_with(Some(incoming))?;
    let tip = peel(&both, id)?.map_err(PackFault::NoCommit)?;
    let ends = history(&both, &held, tip, boundary)?;
    contents(&both, &held, links(&both, tip)?.tree)?;
    Ok(ends)
}

fn history(
    odb: &Odb<'_>,
    held: &Odb<'_>,
    tip: Oid,
    boundary: &HashSet<Oid>,
) -> Result<HashSet<Oid>, git2::Error> {
    let mut seen = HashSet::from([tip]);
    let mut left = vec![tip];
    let mut ends = HashSet::new();
    while let Some(id) = left.pop() {
        if has(held, id) {
            continue;
        }
        let at_end = boundary.contains(&id);
        for parent in links(odb, id)?.parents {
            if at_end {
                ends.insert(id);
            }
            if at_end && !has(odb, parent) {
                continue;
            }
            if seen.insert(parent) {
                left.push(parent);
            }
        }
    }
    Ok(ends)
}

fn contents(odb: &Odb<'_>, held: &Odb<'_>, root: Oid) -> Result<(), git2::Error> {
    // Each object is looked at once, however often a tree that is made to explode names it.
    let mut seen = HashSet::from([root]);
    let mut left = vec![root];
    while let Some(id) = left.pop() {
        if has(held, id) {
            continue;
        }
        let object = odb.read(id)?;
        let entries = (object.kind() == ObjectType::Tree).then(|| tree(object.data()));
        let entries = entries.flatten();
        let entries = entries.ok_or_else(|| git2::Error::from_str("it has a tree that is none"))?;
        for entry in entries {
            let id = oid(entry.id)?;
            if !seen.insert(id) {
                continue;
            }
            match entry.kind() {
                DIRECTORY => left.push(id),
                FILE | LINK if !has(odb, id) => {
                    let missing = format!("the pack lacks the object {id}");
                    return Err(git2::Error::from_str(&missing));
                }
                // A submodule's commit is in another repository. git sends no object for an entry of
                // an unknown kind, and a checkout refuses such an entry.
                _ => {}
            }
        }
    }
    Ok(())
}
