//! One pack in place of many. Every fetch leaves a pack, and libgit2 has no garbage collection: a
//! mirror that lives for years would slow down and keep what no pin needs any more.

use std::fs;
use std::path::PathBuf;

use git2::Error;

use super::mirror::{Mirror, MirrorError, at};
use super::sweep::INCOMING;

/// From how many packs on it is worth to make one of them.
pub const MANY: usize = 50;

impl Mirror {
    /// If there are at least `many` packs, makes one of what the pins need, and removes the others.
    /// The new pack is whole and synced before an old one goes, so a crash leaves too many at worst.
    ///
    /// Nothing else may have the mirror open; the caller holds the app's lock.
    ///
    /// # Errors
    /// [`MirrorError`]; the mirror on disk is then as good as before.
    pub fn repack(self, many: usize) -> Result<Self, MirrorError> {
        let old = self.packs()?;
        if old.len() < many.max(2) {
            return Ok(self);
        }
        let incoming = tempfile::Builder::new()
            .prefix(INCOMING)
            .tempdir_in(self.path())
            .map_err(at("create a directory in", self.path()))?;
        let made = || -> Result<String, Error> {
            let repository = self.repository();
            let mut walk = repository.revwalk()?;
            walk.push_glob("refs/pp/*")?;
            let mut builder = repository.packbuilder()?;
            builder.insert_walk(&mut walk)?;
            builder.write(incoming.path(), 0o444)?;
            let name = builder.name()?.map(str::to_owned);
            name.ok_or_else(|| Error::from_str("the new pack has no name"))
        };
        let name = made().map_err(|error| self.damaged(&error))?;
        self.accept(incoming.path(), &name)?;
        let new = format!("pack-{name}");
        for pack in old
            .iter()
            .filter(|pack| pack.file_stem().is_none_or(|stem| *stem != *new))
        {
            // The index first: a pack without one is not looked at, an index without a pack is
            // damage.
            for path in [&pack.with_extension("idx"), pack] {
                fs::remove_file(path).map_err(at("remove", path))?;
            }
        }
        // libgit2 does not forget a pack that it has seen.
        let path = self.path().to_owned();
        drop(self);
        Self::open_or_create(&path)
    }

    /// The packs that have an index.
    fn packs(&self) -> Result<Vec<PathBuf>, MirrorError> {
        let directory = self.path().join("objects/pack");
        let entries = fs::read_dir(&directory).map_err(at("read", &directory))?;
        let paths = entries.flatten().map(|entry| entry.path());
        let indexed = paths.filter(|p| p.extension().is_some_and(|e| e == "idx"));
        Ok(indexed.map(|p| p.with_extension("pack")).collect())
    }
}
