//! Checks that a received pack brings every object it should, before the mirror takes it.

use std::collections::HashSet;

use git2::Oid;

use super::MirrorError;
use super::history::{links, oid, peel};
use super::packs::{PackReader, Packs};
use pp_objects::Kind;
use pp_objects::protocol::MOST_BYTES;
use pp_objects::tree::{DIRECTORY, FILE, LINK, tree};

/// Why a pack is refused.
pub(super) enum PackFault {
    /// The object that the pack had to bring is not a commit, but an object of this kind.
    NoCommit(&'static str),
    /// The pack is broken, or lacks objects.
    Broken(String),
}

impl From<MirrorError> for PackFault {
    fn from(error: MirrorError) -> Self {
        Self::Broken(match error {
            MirrorError::Object { id, why, .. } => format!("{id}: {why}"),
            other => other.to_string(),
        })
    }
}

/// Checks that the commit at `id`, the whole history before it, and its whole tree are in `packs`: in the mirror's own,
/// or in what has come. Objects that the mirror had before are taken as complete: they passed the same check. Where the
/// server says that the history ends (`boundary`), because it has no more or was asked for no more, the mirror's history
/// ends too; returns the commits at which it does.
///
/// The trees of older commits are not walked, as that would read all of a repository: nothing
/// deploys them, and a checkout finds by itself which objects are missing.
pub(super) fn check(
    packs: &Packs,
    id: Oid,
    boundary: &HashSet<Oid>,
) -> Result<HashSet<Oid>, PackFault> {
    let mut reader = packs.reader();
    let tip = peel(&mut reader, id)?.map_err(PackFault::NoCommit)?;
    let ends = history(&mut reader, tip, boundary)?;
    let root = links(&mut reader, tip)?.tree;
    contents(&mut reader, root)?;
    Ok(ends)
}

fn history(
    reader: &mut PackReader<'_>,
    tip: Oid,
    boundary: &HashSet<Oid>,
) -> Result<HashSet<Oid>, PackFault> {
    let packs = reader.packs();
    let mut seen = HashSet::from([tip]);
    let mut left = vec![tip];
    let mut ends = HashSet::new();
    while let Some(id) = left.pop() {
        if packs.holds(id) {
            continue;
        }
        let at_end = boundary.contains(&id);
        for parent in links(reader, id)?.parents {
            if at_end {
                ends.insert(id);
            }
            match packs.has(parent) {
                false if at_end => continue,
                false => return Err(lacks(parent)),
                true => {}
            }
            if seen.insert(parent) {
                left.push(parent);
            }
        }
    }
    Ok(ends)
}

fn contents(reader: &mut PackReader<'_>, root: Oid) -> Result<(), PackFault> {
    let packs = reader.packs();
    // Each object is looked at once, however often a tree that is made to explode names it.
    let mut seen = HashSet::from([root]);
    let mut left = vec![root];
    while let Some(id) = left.pop() {
        if packs.holds(id) {
            continue;
        }
        if !packs.has(id) {
            return Err(lacks(id));
        }
        let entries = tree(reader.read(id, Kind::Tree, MOST_BYTES)?);
        let none = || PackFault::Broken("it has a tree that is none".to_owned());
        for entry in entries.ok_or_else(none)? {
            let id = oid(entry.id).map_err(|_| none())?;
            if !seen.insert(id) {
                continue;
            }
            match entry.kind() {
                DIRECTORY => left.push(id),
                FILE | LINK if !packs.has(id) => return Err(lacks(id)),
                // A submodule's commit is in another repository. git sends no object for an entry of
                // an unknown kind, and a checkout refuses such an entry.
                _ => {}
            }
        }
    }
    Ok(())
}

fn lacks(id: Oid) -> PackFault {
    PackFault::Broken(format!("the pack lacks the object {id}"))
}
