//! Taking a pack into the mirror: indexed in a directory of its own, found complete, only then
//! accepted.

use std::cell::Cell;
use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::Path;

use git2::{Indexer, Oid};

use super::complete::{self, PackFault};
use super::sweep::INCOMING;
use super::{Mirror, MirrorError, at};

/// How far a pack has come in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// Bytes of the pack so far.
    pub(crate) bytes: u64,
    /// Objects in the pack; 0 until its header has come.
    pub(crate) total: usize,
    /// Objects indexed so far.
    pub(crate) indexed: usize,
}

/// Where a pack comes from, piece by piece.
pub(crate) trait Pack {
    /// The next piece; none at the end.
    ///
    /// # Errors
    /// The pack broke off.
    fn next(&mut self) -> std::io::Result<Option<&[u8]>>;
}

/// Why a pack was not taken.
#[derive(Debug)]
pub(crate) enum PackError {
    /// The pack is cut, broken, or lacks objects.
    Refused(String),
    /// The mirror could not take any pack, or what the pack brings is no commit.
    Mirror(MirrorError),
}

impl From<MirrorError> for PackError {
    fn from(error: MirrorError) -> Self {
        Self::Mirror(error)
    }
}

impl Mirror {
    /// Receives, indexes, verifies and accepts one pack, which is to bring `id`. The history of the server
    /// itself ends at the commits `ends_at`.
    ///
    /// The mirror changes only when the whole pack has been hashed and found complete; until then
    /// it lies in a directory of its own, which the next opening removes if we are killed.
    ///
    /// # Errors
    /// [`PackError`]; the mirror is then as it was.
    pub(crate) fn receive(
        &self,
        id: Oid,
        ends_at: &[Oid],
        pack: &mut dyn Pack,
        progress: &mut dyn FnMut(Received),
    ) -> Result<Received, PackError> {
        let incoming = tempfile::Builder::new()
            .prefix(INCOMING)
            .tempdir_in(self.path())
            .map_err(at("create a directory in", self.path()))?;
        let packs = incoming.path().join("pack");
        fs::create_dir(&packs).map_err(at("create", &packs))?;
        let (checksum, seen) = self.index(pack, &packs, progress)?;
        progress(seen);
        let mut boundary: HashSet<Oid> = self.boundary().into_iter().collect();
        boundary.extend(ends_at);
        let ends = complete::check(self, incoming.path(), id, &boundary);
        let ends = ends.map_err(|unfit| match unfit {
            PackFault::NoCommit(kind) => PackError::Mirror(MirrorError::NoCommit { kind }),
            PackFault::Broken(why) => PackError::Refused(why),
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
        progress: &mut dyn FnMut(Received),
    ) -> Result<(String, Received), PackError> {
        let seen = Cell::new(Received::default());
        let mut report = |now: git2::Progress<'_>| {
            seen.set(Received {
                total: now.total_objects(),
                indexed: now.indexed_objects(),
                ..seen.get()
            });
            progress(seen.get());
            true
        };
        let stopped = |error: &git2::Error| PackError::Refused(error.message().to_owned());
        let odb = self.repository().odb().map_err(|error| stopped(&error))?;
        // Without libgit2's own check of completeness: it takes submodules for missing objects.
        let indexer = Indexer::new(Some(&odb), packs, 0o444, false);
        let mut indexer = indexer.map_err(|error| stopped(&error))?;
        indexer.progress(&mut report);
        loop {
            let chunk = match pack.next() {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(_) => return Err(PackError::Refused("it broke off".to_owned())),
            };
            let bytes = seen.get().bytes + chunk.len() as u64;
            seen.set(Received {
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
