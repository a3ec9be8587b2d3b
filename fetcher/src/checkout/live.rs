//! Copies files from the live release in place of asking the worker for them: copying is quicker
//! (`tests/bench/RESULTS.md`), and each copy is proved by the hash of its content.
//!
//! Nothing in the live release is trusted, neither its names nor its time stamps. The app may write into its
//! release, a write through a memory mapping shows in no time stamp until the kernel gets round
//! to it, and two writes within one tick of the clock have the same time stamp. So no record of the deployed
//! files is compared with; the commit's tree is the record. The bytes that are written into the new release
//! are hashed on their way, as git hashes a file, and count only if the hash is the one that the
//! commit's tree names for this path. Otherwise the file is written again from the object that the worker hands
//! over. A file that was changed in place, or is being changed meanwhile, cannot get into the new release.
//!
//! A file's path is opened below the release without following a link and without leaving the release's file
//! system (`openat2`), and opening never waits for a FIFO's other end. Kernels before 5.6 and sandboxes that
//! do not know the call answer with an error, and then every file comes from the worker.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;
use pp_objects::{Hasher, Kind};

use super::plan::PlannedFile;

/// The number of bytes that are read, hashed and written at a time: they stay in the processor's cache.
const CHUNK: usize = 128 * 1024;

/// The live release's directory, open for reading.
pub(super) struct Live(File);

impl Live {
    /// Opens the directory of a release; `None` if there is no such directory.
    pub(super) fn open(release: &Path) -> Option<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened = open(release, flags, Mode::empty()).ok()?;
        Some(Self(File::from(opened)))
    }

    /// Opens the regular file with the planned path and size, if the live release has one.
    fn open_file(&self, planned: &PlannedFile) -> Option<File> {
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
            .resolve(
                ResolveFlag::RESOLVE_BENEATH
                    | ResolveFlag::RESOLVE_NO_SYMLINKS
                    | ResolveFlag::RESOLVE_NO_XDEV,
            );
        let file = File::from(openat2(&self.0, &planned.path, how).ok()?);
        let found = file.metadata().ok()?;
        (found.is_file() && found.len() == planned.size).then_some(file)
    }
}

/// Copies files for one thread.
pub(super) struct Copier<'a> {
    live: &'a Live,
    buffer: Vec<u8>,
}

impl<'a> Copier<'a> {
    pub(super) fn new(live: &'a Live) -> Self {
        Self {
            live,
            buffer: vec![0; CHUNK],
        }
    }

    /// Opens the regular file with the planned path and size in the live release, if there is one.
    pub(super) fn candidate(&self, planned: &PlannedFile) -> Option<File> {
        self.live.open_file(planned)
    }

    /// Fills `to`, an empty file, from `candidate`, and returns the last [`CHUNK`] of the content, which for a small
    /// file is the whole content. `None` if the candidate has another content than the planned file.
    ///
    /// # Errors
    /// The errors of writing `to`. A candidate that cannot be read gives `None`.
    pub(super) fn copy(
        &mut self,
        mut candidate: File,
        planned: &PlannedFile,
        to: &mut File,
    ) -> io::Result<Option<&[u8]>> {
        let mut hasher = Hasher::new(Kind::Blob, planned.size);
        let mut left = planned.size;
        let mut last = 0;
        while left > 0 {
            last = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let Some(chunk) = self.buffer.get_mut(..last) else {
                break;
            };
            // The candidate is shorter than it was, or unreadable: it has not the planned content.
            if candidate.read_exact(chunk).is_err() {
                break;
            }
            hasher.update(chunk);
            to.write_all(chunk)?;
            left = left.saturating_sub(last as u64);
        }
        let same = hasher.finish() == Some(planned.id);
        Ok(same.then(|| self.buffer.get(..last).unwrap_or_default()))
    }
}
