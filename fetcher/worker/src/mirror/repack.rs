//! Makes one pack of many. Every fetch leaves a pack, and libgit2 has no garbage collection: a mirror
//! that lives for years would slow down and keep objects that no pin needs any more.

use std::collections::{HashSet, VecDeque};
use std::fs;

use git2::{Error, Oid};

use super::history::{links, oid};
use super::packs::PackReader;
use super::{Mirror, MirrorError, OBJECTS, PACKS, at, sweep};
use pp_objects::Kind;
use pp_objects::protocol::MOST_BYTES;
use pp_objects::tree::{DIRECTORY, GITLINK, tree};

/// The number of packs from which on repacking is worth it.
pub(crate) const MANY: usize = 50;

impl Mirror {
    /// If there are at least `many` packs, makes one pack of the objects that the pins need, and removes the others.
    /// The new pack is whole and synced before an old pack goes, so a crash leaves too many packs at worst.
    ///
    /// No other process may have the mirror open; the caller holds the app's lock.
    ///
    /// # Errors
    /// [`MirrorError`]; the mirror on disk is then as good as before.
    pub(crate) fn repack(self, many: usize) -> Result<Self, MirrorError> {
        let old = sweep::indexes(&self.path.join(OBJECTS).join(PACKS))?;
        if old.len() < many.max(2) {
            return Ok(self);
        }
        let incoming = self.incoming()?;
        let wanted = self.needed().map_err(|error| self.damaged_by(error))?;
        let made = || -> Result<String, Error> {
            let mut builder = self.repository().packbuilder()?;
            for (id, path) in &wanted {
                builder.insert_object(*id, path.as_deref())?;
            }
            builder.write(incoming.path(), 0o444)?;
            let name = builder.name()?.map(str::to_owned);
            name.ok_or_else(|| Error::from_str("the new pack has no name"))
        };
        let name = made().map_err(|error| self.damaged(error.message()))?;
        self.accept(incoming.path(), &name)?;
        let new = format!("pack-{name}");
        for index in old
            .iter()
            .filter(|index| index.file_stem().is_none_or(|stem| *stem != *new))
        {
            // The index first: git ignores a pack without an index, but an index without a pack is
            // damage.
            for path in [index, &index.with_extension("pack")] {
                fs::remove_file(path).map_err(at("remove", path))?;
            }
        }
        // libgit2 does not forget a pack that it has seen, so the mirror is opened anew.
        let path = self.path.clone();
        drop(self);
        let mirror = Self::open(&path)?;
        mirror.prune_boundary()?;
        Ok(mirror)
    }

    /// Returns every object that the pins need, newest commits first, files with a name by which libgit2 finds
    /// similar files. libgit2's own walk is not used, as it stops at a commit that it does not like.
    fn needed(&self) -> Result<Vec<(Oid, Option<String>)>, MirrorError> {
        let packs = self.packs()?;
        let mut reader = packs.reader();
        let mut commits = VecDeque::from(self.pins(|_| true)?);
        let mut seen: HashSet<Oid> = commits.iter().copied().collect();
        let boundary: HashSet<Oid> = self.boundary().into_iter().collect();
        let mut all = Vec::new();
        while let Some(id) = commits.pop_front() {
            let commit = links(&mut reader, id)?;
            all.push((id, None));
            if seen.insert(commit.tree) {
                trees(&mut reader, commit.tree, &mut seen, &mut all)?;
            }
            // What a mirror has from before the end of its history is of earlier deploys, and no longer needed.
            if boundary.contains(&id) {
                continue;
            }
            let parents = commit.parents.into_iter().filter(|p| packs.holds(*p));
            commits.extend(parents.filter(|parent| seen.insert(*parent)));
        }
        Ok(all)
    }
}

/// Adds a tree and all objects in it that were not seen yet. An object that an older tree names and that is missing
/// in the mirror was missing before, too.
fn trees(
    reader: &mut PackReader<'_>,
    root: Oid,
    seen: &mut HashSet<Oid>,
    all: &mut Vec<(Oid, Option<String>)>,
) -> Result<(), MirrorError> {
    let packs = reader.packs();
    let mut left = vec![root];
    while let Some(id) = left.pop() {
        let entries = tree(reader.read(id, Kind::Tree, MOST_BYTES)?);
        let entries = entries.ok_or_else(|| packs.unreadable(id, "a tree is none"))?;
        all.push((id, None));
        for entry in entries.into_iter().filter(|entry| entry.kind() != GITLINK) {
            let id = oid(entry.id).map_err(|error| packs.unreadable(id, error.message()))?;
            if !seen.insert(id) || !packs.holds(id) {
                continue;
            }
            if entry.kind() == DIRECTORY {
                left.push(id);
            } else {
                let name = String::from_utf8_lossy(&entry.name).into_owned();
                all.push((id, Some(name)));
            }
        }
    }
    Ok(())
}
