//! Takes a pack into the mirror: the pack is indexed in a directory of its own, checked for completeness, and only
//! then accepted.

use std::cell::Cell;
use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::Path;

use git2::{Indexer, Oid};

use super::complete::{self, PackFault};
use super::{Mirror, MirrorError, at};

/// How much of a pack has been received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// Bytes of the pack so far.
    pub(crate) bytes: u64,
    /// Objects in the whole pack; 0 until the pack's header has been read.
    pub(crate) total: usize,
    /// Objects indexed so far.
    pub(crate) indexed: usize,
}

/// A source of a pack, piece by piece.
pub(crate) trait Pack {
    /// Returns the next piece; `None` at the end of the pack.
    ///
    /// # Errors
    /// The pack broke off.
    fn next(&mut self) -> std::io::Result<Option<&[u8]>>;
}

/// Why a pack was not taken into the mirror.
#[derive(Debug)]
pub(crate) enum PackError {
    /// The pack is truncated or broken, or lacks objects.
    Refused(String),
    /// The mirror cannot take any pack, or the object that the pack brings is not a commit.
    Mirror(MirrorError),
}

impl From<MirrorError> for PackError {
    fn from(error: MirrorError) -> Self {
        Self::Mirror(error)
    }
}

impl Mirror {
    /// Receives, indexes, verifies and accepts one pack, which must bring `id`. The history of the server
    /// itself ends at the commits `ends_at`.
    ///
    /// The mirror changes only when the whole pack has been hashed and found complete; until then the pack
    /// lies in a directory of its own, which the next opening of the mirror removes if the worker is killed.
    ///
    /// # Errors
    /// [`PackError`]; the mirror then has no new object.
    pub(crate) fn receive(
        &self,
        id: Oid,
        ends_at: &[Oid],
        pack: &mut dyn Pack,
        progress: &mut dyn FnMut(Received),
    ) -> Result<Received, PackError> {
        let incoming = self.incoming()?;
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

    /// Receives and indexes a pack that is here for its commits alone. The mirror does not change: the pack lies in a
    /// directory of its own until this worker ends, and the next opening of the mirror removes what is left of it.
    ///
    /// # Errors
    /// [`PackError`].
    pub(crate) fn receive_history(
        &self,
        pack: &mut dyn Pack,
        progress: &mut dyn FnMut(Received),
    ) -> Result<Received, PackError> {
        let incoming = self.incoming()?;
        let packs = incoming.path().join("pack");
        fs::create_dir(&packs).map_err(at("create", &packs))?;
        let (_, seen) = self.index(pack, &packs, progress)?;
        self.history.replace(Some(incoming));
        self.refresh()?;
        Ok(seen)
    }

    /// Feeds the pack to libgit2's indexer, which hashes every object, and returns the pack's name.
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
        // libgit2's own check of completeness is switched off: it takes submodules for missing objects.
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
