//! Takes a pack into the mirror: the pack is indexed in a directory of its own, checked for completeness, and only
//! then accepted.

use std::collections::HashSet;
use std::fs;

use git2::Oid;
use tempfile::TempDir;

use super::complete::{self, PackFault};
use super::index::{Pack, Received};
use super::{Mirror, MirrorError, PACKS, at, index};

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
        let (incoming, checksum, seen) = self.index(pack, progress)?;
        progress(seen);
        let mut boundary: HashSet<Oid> = self.boundary().into_iter().collect();
        boundary.extend(ends_at);
        let checksum =
            checksum.ok_or_else(|| PackError::Refused("it has no objects".to_owned()))?;
        let packs = self.packs()?.with(&incoming.path().join(PACKS))?;
        let ends = complete::check(&packs, id, &boundary);
        let ends = ends.map_err(|unfit| match unfit {
            PackFault::NoCommit(kind) => PackError::Mirror(MirrorError::NoCommit { kind }),
            PackFault::Broken(why) => PackError::Refused(why),
        })?;
        self.add_boundary(&ends)?;
        self.accept(&incoming.path().join(PACKS), &checksum)?;
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
        let (incoming, _, seen) = self.index(pack, progress)?;
        self.history.replace(Some(incoming));
        self.refresh();
        Ok(seen)
    }

    /// Indexes the pack in a directory of its own. Returns the directory, the pack's name and what was received.
    fn index(
        &self,
        pack: &mut dyn Pack,
        progress: &mut dyn FnMut(Received),
    ) -> Result<(TempDir, Option<String>, Received), PackError> {
        let incoming = self.incoming()?;
        let packs = incoming.path().join(PACKS);
        fs::create_dir(&packs).map_err(at("create", &packs))?;
        let held = self.packs()?;
        // A mirror without packs has no base that a delta could build on.
        let bases = (!held.is_empty()).then(|| held.reader());
        let (name, seen) =
            index::index(pack, &packs, bases, progress).map_err(PackError::Refused)?;
        Ok((incoming, name, seen))
    }
}
