//! Reads commits from the packs with the parser of `pp_objects`.
//!
//! git, libgit2 and gitoxide each refuse some commits whose author, committer or date git would never write itself but
//! accepts; one such commit anywhere in a history would stop every deploy. Only a commit's tree and its parents matter
//! to the worker.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io::Write;
use std::path::Path;

use git2::Oid;
use gix_object::Kind as Found;

use super::packs::PackReader;
use super::pins::Tips;
use super::{Mirror, MirrorError, at, sync_dir};
use pp_objects::commit::{self, MOST_TAGS};
use pp_objects::protocol::MOST_BYTES;
use pp_objects::{Kind, ObjectId};

/// git's own file of the commits at which a history ends although they are not its beginning, one commit a line
/// (gitrepository-layout(5)).
const SHALLOW: &str = "shallow";

/// The most commits named to the server as already in the mirror.
const MOST_HAVES: usize = 256;

/// The parts of a commit that matter to the worker.
pub(super) struct Links {
    pub(super) tree: Oid,
    pub(super) parents: Vec<Oid>,
}

/// Reads the tree and the parents of the commit `id`.
pub(super) fn links(reader: &mut PackReader<'_>, id: Oid) -> Result<Links, MirrorError> {
    let packs = reader.packs();
    let bad = |why: &str| packs.unreadable(id, why);
    let object = reader.read(id, Kind::Commit, MOST_BYTES)?;
    let commit = commit::commit(object);
    let commit = commit.ok_or_else(|| bad("it is no commit as git writes them"))?;
    let parents = commit.parents.iter().map(|parent| oid(*parent));
    let links = oid(commit.tree).and_then(|tree| {
        let parents = parents.collect::<Result<_, _>>()?;
        Ok(Links { tree, parents })
    });
    links.map_err(|error| bad(error.message()))
}

/// Follows tags from `id` to the object they point to in the end: its id if it is a commit, otherwise its kind.
pub(super) fn peel(
    reader: &mut PackReader<'_>,
    mut id: Oid,
) -> Result<Result<Oid, &'static str>, MirrorError> {
    let packs = reader.packs();
    for _ in 0..MOST_TAGS {
        match reader.kind(id)? {
            Found::Commit => return Ok(Ok(id)),
            Found::Tag => {
                let tag = commit::tag(reader.read(id, Kind::Tag, MOST_BYTES)?);
                let target = tag.and_then(|tag| oid(tag.target).ok());
                id = target
                    .ok_or_else(|| packs.unreadable(id, "it is no tag as git writes them"))?;
            }
            Found::Tree => return Ok(Err("directory")),
            Found::Blob => return Ok(Err("file")),
        }
    }
    Ok(Err("tag of tags without end"))
}

pub(crate) fn oid(id: ObjectId) -> Result<Oid, git2::Error> {
    Oid::from_bytes(id.as_bytes())
}

impl Mirror {
    /// Returns the commit that `id` is, or that the tag object `id` points to.
    ///
    /// # Errors
    /// [`MirrorError::NoCommit`] if `id` stands for an object of another kind, [`MirrorError::Object`] if it is
    /// not in the mirror.
    pub(crate) fn commit_of(&self, id: Oid) -> Result<Oid, MirrorError> {
        let packs = self.packs()?;
        // A commit that is here for a history alone may lack its tree.
        if !packs.holds(id) {
            return Err(packs.absent(id));
        }
        let peeled = peel(&mut packs.reader(), id)?;
        peeled.map_err(|kind| MirrorError::NoCommit { kind })
    }

    /// Returns the tips and some of their history, the nearest commits first, and all the commits at which that history
    /// ends although they are not its beginning.
    pub(super) fn known(&self, tips: Vec<Oid>) -> Result<Tips, MirrorError> {
        let packs = self.packs()?;
        let mut reader = packs.reader();
        let ends: HashSet<Oid> = self.boundary().into_iter().collect();
        let most = MOST_HAVES.max(tips.len());
        let mut seen: HashSet<Oid> = tips.iter().copied().collect();
        let mut known = Tips {
            commits: tips,
            boundary: Vec::new(),
        };
        let mut next = 0;
        // Where the history ends somewhere, every end has to be told.
        while let Some(&id) = known.commits.get(next)
            && (known.commits.len() < most || !ends.is_empty())
        {
            next += 1;
            // What is here from before an end is of an earlier deploy, and has an end of its own.
            if ends.contains(&id) {
                known.boundary.push(id);
                continue;
            }
            let commit = links(&mut reader, id).map_err(|error| self.damaged_by(error))?;
            let new = commit.parents.into_iter().filter(|p| packs.holds(*p));
            let new = new.filter(|parent| seen.insert(*parent));
            known.commits.extend(new);
        }
        known.commits.truncate(most);
        Ok(known)
    }

    /// Returns the commits at which the mirror's history ends although they are not its beginning.
    #[must_use]
    pub(crate) fn boundary(&self) -> Vec<Oid> {
        let text = fs::read_to_string(self.path.join(SHALLOW)).unwrap_or_default();
        text.lines()
            .filter_map(|line| Oid::from_str(line).ok())
            .collect()
    }

    /// Adds commits to those that [`Self::boundary`] returns, durably.
    pub(super) fn add_boundary(&self, new: &HashSet<Oid>) -> Result<(), MirrorError> {
        let before = self.boundary();
        let all: BTreeSet<Oid> = before.iter().chain(new).copied().collect();
        match all.len() == before.len() {
            true => Ok(()),
            false => self.write_boundary(&all),
        }
    }

    /// Forgets the commits of the boundary that are no longer in the mirror, durably.
    pub(super) fn prune_boundary(&self) -> Result<(), MirrorError> {
        let before = self.boundary();
        let left: BTreeSet<Oid> = before
            .iter()
            .copied()
            .filter(|id| self.contains(*id))
            .collect();
        match left.len() == before.len() {
            true => Ok(()),
            false => self.write_boundary(&left),
        }
    }

    fn write_boundary(&self, commits: &BTreeSet<Oid>) -> Result<(), MirrorError> {
        let path = self.path.join(SHALLOW);
        write(&self.path, &path, commits).map_err(at("write", &path))?;
        sync_dir(&self.path)
    }
}

fn write(directory: &Path, path: &Path, lines: &BTreeSet<Oid>) -> std::io::Result<()> {
    let mut file = tempfile::Builder::new()
        .prefix("shallow-")
        .suffix(".lock")
        .tempfile_in(directory)?;
    for line in lines {
        writeln!(file, "{line}")?;
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
