//! Taking a pack into the mirror: indexed in a directory of its own, found complete, only then
//! accepted.

use std::cell::Cell;
use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use git2::{Indexer, Oid};

use super::complete::{self, Unfit};
use super::mirror::{Mirror, MirrorError, at};
use super::sweep::INCOMING;

/// How far a fetch has come, for a progress bar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the pack so far.
    pub bytes: u64,
    /// Objects in the pack; 0 until its header has come.
    pub total: usize,
    /// Objects indexed so far.
    pub indexed: usize,
}

/// Where a pack comes from, piece by piece.
pub trait Pack {
    /// The next piece; none at the end.
    ///
    /// # Errors
    /// It broke off; whoever made this knows why.
    fn next(&mut self) -> Result<Option<&[u8]>, BrokenOff>;

    /// When it has to be done, if that is ours to watch.
    fn deadline(&self) -> Option<Instant>;

    /// The commits at which the server's own history ends without being at its beginning.
    fn boundary(&self) -> Vec<Oid> {
        Vec::new()
    }
}

/// A pack that did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokenOff;

/// Why a pack was not taken.
#[derive(Debug)]
pub enum NotTaken<E> {
    /// It did not come to its end.
    BrokenOff,
    /// The deadline has passed.
    Late,
    /// It is broken, or lacks objects.
    Refused(String),
    /// Nothing can be said of it.
    Failed(E),
}

impl<E> From<E> for NotTaken<E> {
    fn from(error: E) -> Self {
        Self::Failed(error)
    }
}

impl Mirror {
    /// Receives, indexes, verifies and accepts one pack, which is to bring `id`.
    ///
    /// The mirror changes only when the whole pack has been hashed and found complete; until then
    /// it lies in a directory of its own, which the next opening removes if we are killed.
    ///
    /// # Errors
    /// [`NotTaken`]; the mirror is then as it was.
    pub fn receive(
        &self,
        id: Oid,
        pack: &mut dyn Pack,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Progress, NotTaken<MirrorError>> {
        let incoming = tempfile::Builder::new()
            .prefix(INCOMING)
            .tempdir_in(self.path())
            .map_err(at("create a directory in", self.path()))?;
        let packs = incoming.path().join("pack");
        fs::create_dir(&packs).map_err(at("create", &packs))?;
        let (checksum, seen) = self.index(pack, &packs, progress)?;
        progress(seen);
        let mut boundary: HashSet<Oid> = self.boundary().into_iter().collect();
        boundary.extend(pack.boundary());
        let ends = complete::check(self, incoming.path(), id, &boundary);
        let ends = ends.map_err(|unfit| match unfit {
            Unfit::NoCommit(kind) => NotTaken::Failed(MirrorError::NoCommit { kind }),
            Unfit::Broken(why) => NotTaken::Refused(why),
        })?;
        self.add_boundary(&ends)?;
        self.accept(&packs, &checksum)?;
        Ok(seen)
    }

    /// Feeds the pack to libgit2's indexer, which hashes every object, and gives the pack's name.
    fn index(
        &self,
        pack: &mut dyn Pack,
        packs: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(String, Progress), NotTaken<MirrorError>> {
        let deadline = pack.deadline();
        let in_time = || deadline.is_none_or(|deadline| Instant::now() < deadline);
        let seen = Cell::new(Progress::default());
        // Deltas may build on what is here already, and resolving them comes after the last byte:
        // so the deadline is kept here too.
        let mut report = |now: git2::Progress<'_>| {
            seen.set(Progress {
                total: now.total_objects(),
                indexed: now.indexed_objects(),
                ..seen.get()
            });
            progress(seen.get());
            in_time()
        };
        // The indexer has stopped: at the deadline, or because it does not like the pack.
        let stopped = |error: &git2::Error| {
            if in_time() {
                NotTaken::Refused(error.message().to_owned())
            } else {
                NotTaken::Late
            }
        };
        let odb = self.repository().odb().map_err(|error| stopped(&error))?;
        // Without libgit2's own check of completeness: it takes submodules for missing objects.
        let indexer = Indexer::new(Some(&odb), packs, 0o444, false);
        let mut indexer = indexer.map_err(|error| stopped(&error))?;
        indexer.progress(&mut report);
        loop {
            let chunk = match pack.next() {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(BrokenOff) => return Err(NotTaken::BrokenOff),
            };
            let bytes = seen.get().bytes + chunk.len() as u64;
            seen.set(Progress {
                bytes,
                ..seen.get()
            });
            if indexer.write_all(chunk).is_err() {
                return Err(stopped(&git2::Error::last_error(-1)));
            }
        }
        let checksum = indexer.commit().map_err(|error| stopped(&error))?;
        Ok((checksum, seen.get()))
    }
}
