//! One revision with all it needs, from the remote into the mirror.

use std::cell::Cell;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use git2::{Indexer, Oid};

use super::error::RemoteError;
use super::listing::Revision;
use super::mirror::{Mirror, at};
use super::remote::Remote;
use super::sweep::INCOMING;
use super::{complete, text, wire};

/// Name of the pin on what was fetched last, so that the next fetch builds on it whatever became
/// of it.
const LAST: &str = "last-fetched";

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

/// What a fetch has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetched {
    /// The commit to deploy: here, with its tree and its history.
    pub commit: Oid,
    /// Bytes of the pack; 0 if everything was here already.
    pub bytes: u64,
    /// Objects of the pack.
    pub objects: usize,
}

impl Remote {
    /// Gets `revision` into `mirror`. The mirror changes only when the whole pack has been hashed
    /// and found complete; until then it lies in a directory of its own, which the next
    /// [`Mirror::open_or_create`] removes if we are killed.
    ///
    /// # Errors
    /// [`RemoteError`]; the mirror is then as it was.
    pub fn fetch(
        &mut self,
        mirror: &Mirror,
        revision: &Revision,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Fetched, RemoteError> {
        let haves = mirror.haves(None)?;
        self.fetch_as(LAST, mirror, revision, &haves, progress)
    }

    /// Gets a submodule's commit into the app's `mirror`, and pins it as `pin`.
    ///
    /// # Errors
    /// [`RemoteError`]; the mirror is then as it was.
    pub fn fetch_submodule(
        &mut self,
        mirror: &Mirror,
        commit: Oid,
        pin: &str,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Fetched, RemoteError> {
        let haves = mirror.haves(Some(pin))?;
        let revision = Revision {
            reference: String::new(),
            id: commit,
            commit,
        };
        self.fetch_as(pin, mirror, &revision, &haves, progress)
    }

    fn fetch_as(
        &mut self,
        pin: &str,
        mirror: &Mirror,
        revision: &Revision,
        haves: &[Oid],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Fetched, RemoteError> {
        let mut seen = Progress::default();
        if !mirror.contains(revision.id) {
            let asked = wire::pack::request(&mut self.wire, &mut self.greeting, revision.id, haves);
            asked.map_err(|error| self.failed(error))?;
            seen = self.receive(mirror, revision, progress)?;
        }
        let commit = mirror.commit_of(revision.id)?;
        mirror.pin(pin, commit)?;
        Ok(Fetched {
            commit,
            bytes: seen.bytes,
            objects: seen.total,
        })
    }

    /// Receives, indexes, verifies and accepts one pack.
    fn receive(
        &mut self,
        mirror: &Mirror,
        revision: &Revision,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Progress, RemoteError> {
        let incoming = tempfile::Builder::new()
            .prefix(INCOMING)
            .tempdir_in(mirror.path())
            .map_err(at("create a directory in", mirror.path()))?;
        let packs = incoming.path().join("pack");
        fs::create_dir(&packs).map_err(at("create", &packs))?;
        let (checksum, seen) = self.index(mirror, &packs, progress)?;
        progress(seen);
        let complete = complete::check(mirror, incoming.path(), revision.id);
        complete.map_err(|why| self.refused(&why))?;
        mirror.accept(&packs, &checksum)?;
        Ok(seen)
    }

    /// Feeds the pack to libgit2's indexer, which hashes every object, and gives the pack's name.
    fn index(
        &mut self,
        mirror: &Mirror,
        packs: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(String, Progress), RemoteError> {
        let deadline = self.wire.stream().deadline();
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
            Instant::now() < deadline
        };
        let odb = mirror.repository().odb();
        let odb = odb.map_err(|error| self.refused(error.message()))?;
        // Without libgit2's own check of completeness: it takes submodules for missing objects.
        let mut indexer = Indexer::new(Some(&odb), packs, 0o444, false)
            .map_err(|error| self.refused(error.message()))?;
        indexer.progress(&mut report);
        loop {
            let chunk = match wire::pack::next_chunk(&mut self.wire) {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => return Err(self.failed(error)),
            };
            let bytes = seen.get().bytes + chunk.len() as u64;
            seen.set(Progress {
                bytes,
                ..seen.get()
            });
            if indexer.write_all(chunk).is_err() {
                return Err(self.stopped(&git2::Error::last_error(-1)));
            }
        }
        let checksum = indexer.commit().map_err(|error| self.stopped(&error))?;
        Ok((checksum, seen.get()))
    }

    /// The indexer has stopped: at the deadline, or because it does not like the pack.
    fn stopped(&mut self, error: &git2::Error) -> RemoteError {
        if Instant::now() < self.wire.stream().deadline() {
            return self.refused(error.message());
        }
        RemoteError::TimedOut {
            remote: self.ends.remote.clone(),
            deadline: self.ends.options.deadline,
            said: String::new(),
        }
    }

    fn refused(&self, why: &str) -> RemoteError {
        RemoteError::Pack {
            remote: self.ends.remote.clone(),
            why: text::line(why.as_bytes()),
        }
    }
}
