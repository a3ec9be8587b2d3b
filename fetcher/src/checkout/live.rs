//! Files taken over from the live release instead of being asked of the worker:
//! quicker (`tests/bench/results/checkout.md`), and proved by their content.
//!
//! Nothing about the live release is believed, neither its names nor its time stamps. A release is
//! the app's to write in, a mapping that writes shows in no time stamp until the kernel gets round
//! to it, and two writes within one tick of the clock show as one. So there is no record of what was
//! deployed to compare with; the record is the tree. The bytes that are written into the new release
//! are hashed on their way, as git hashes a file, and count only if the hash is the one that the
//! commit's tree names for this path. Otherwise the file is written again from what the worker hands over.
//! A file that was changed in place, or is being changed meanwhile, cannot get through.
//!
//! SHA-1 is enough for that: the content that the tree names was hashed with the detection of known attacks
//! when it first came from the worker, and who wants to write another file with the hash of a given one needs
//! a second preimage, which nobody has found.
//!
//! The path is opened below the release without following a link and without leaving its file
//! system (`openat2`), and never waits for a FIFO's other end. Kernels before 5.6 and sandboxes that
//! do not know the call answer with an error, and then every file comes from the worker.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;
use sha1::{Digest, Sha1};

use super::plan::PlannedFile;

/// Bytes that are read, hashed and written at a time: they stay in the processor's cache.
const CHUNK: usize = 128 * 1024;

/// The live release, open for reading.
pub(super) struct Live(File);

impl Live {
    /// Opens the directory of a release; `None` if it is not one.
    pub(super) fn open(release: &Path) -> Option<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened = open(release, flags, Mode::empty()).ok()?;
        Some(Self(File::from(opened)))
    }

    /// The file of that path and size, if there is one.
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

/// One thread's copying.
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

    /// The file of that path and size in the live release, if there is one.
    pub(super) fn candidate(&self, planned: &PlannedFile) -> Option<File> {
        self.live.open_file(planned)
    }

    /// Fills `to`, an empty file, from `candidate`, and gives the last [`CHUNK`] of the content, which is all of
    /// a small file. `None` if the candidate has not this content.
    ///
    /// # Errors
    /// Those of `to`. What cannot be read is not there.
    pub(super) fn copy(
        &mut self,
        mut candidate: File,
        planned: &PlannedFile,
        to: &mut File,
    ) -> io::Result<Option<&[u8]>> {
        let mut hash = Sha1::new();
        hash.update(format!("blob {}\0", planned.size));
        let mut left = planned.size;
        let mut last = 0;
        while left > 0 {
            last = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let Some(chunk) = self.buffer.get_mut(..last) else {
                break;
            };
            // Shorter than it was, or not readable: not what is wanted.
            if candidate.read_exact(chunk).is_err() {
                break;
            }
            hash.update(&*chunk);
            to.write_all(chunk)?;
            left = left.saturating_sub(last as u64);
        }
        let same = left == 0 && hash.finalize().as_slice() == planned.id.as_bytes();
        Ok(same.then(|| self.buffer.get(..last).unwrap_or_default()))
    }
}
