//! Whether a received pack brings all it should, before the mirror takes it.

use std::collections::HashSet;
use std::path::Path;

use git2::{ObjectType, Odb, Oid, Repository};

use super::mirror::Mirror;

/// Checks that the commit at `id`, the whole history before it, and its whole tree are in the
/// mirror or in the object directory `incoming`. What the mirror had before is taken as complete:
/// it came in by this door.
///
/// The trees of older commits are not walked, as that would read all of a repository: nothing
/// deploys them, and a checkout finds by itself what is missing.
pub(super) fn check(mirror: &Mirror, incoming: &Path, id: Oid) -> Result<(), String> {
    let said = |error: git2::Error| error.message().to_owned();
    let held = mirror.repository().odb().map_err(said)?;
    let both = Odb::new().map_err(said)?;
    for directory in [&mirror.path().join("objects"), incoming] {
        let directory = directory.to_str().ok_or("the mirror's path is not UTF-8")?;
        both.add_disk_alternate(directory).map_err(said)?;
    }
    let repository = Repository::from_odb(both).map_err(said)?;
    let tip = repository.find_object(id, None).map_err(said)?;
    let tip = tip.peel(ObjectType::Commit).map_err(said)?.id();
    history(&repository, &held, tip).map_err(said)?;
    let tree = repository.find_commit(tip).map_err(said)?.tree_id();
    contents(&repository, &held, tree).map_err(said)
}

fn history(repository: &Repository, held: &Odb<'_>, tip: Oid) -> Result<(), git2::Error> {
    let mut seen = HashSet::from([tip]);
    let mut left = vec![tip];
    while let Some(id) = left.pop() {
        if !held.exists(id) {
            let parents = repository.find_commit(id)?;
            left.extend(parents.parent_ids().filter(|parent| seen.insert(*parent)));
        }
    }
    Ok(())
}

fn contents(repository: &Repository, held: &Odb<'_>, root: Oid) -> Result<(), git2::Error> {
    let odb = repository.odb()?;
    // Each object once, however often a tree that is made to explode names it.
    let mut seen = HashSet::from([root]);
    let mut left = vec![root];
    while let Some(id) = left.pop() {
        if held.exists(id) {
            continue;
        }
        for entry in &repository.find_tree(id)? {
            if !seen.insert(entry.id()) {
                continue;
            }
            match entry.filemode_raw() & 0o170_000 {
                0o040_000 => left.push(entry.id()),
                0o100_000 | 0o120_000 if !odb.exists(entry.id()) => {
                    let missing = format!("the pack lacks the object {}", entry.id());
                    return Err(git2::Error::from_str(&missing));
                }
                // A submodule's commit is elsewhere; what git does not know it does not send, and
                // a checkout refuses it.
                _ => {}
            }
        }
    }
    Ok(())
}
