//! A new file of a release: created, filled with bytes that are hashed on their way, and given its mode.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fchmod, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use pp_objects::{Hasher, Kind};

use super::Budget;
use super::deadline::Deadline;
use super::error::{CheckoutError, Refusal, io_at};
use super::flush::Written;
use super::plan::PlannedFile;
use super::refusal::refused;
use crate::worker::{ObjectPiece, WorkerError};

/// The beginning of a Git LFS pointer, the beginning of its second line, and the size below which a pointer stays.
const LFS: (&[u8], &[u8], u64) = (
    b"version https://git-lfs.github.com/spec/",
    b"\noid sha256:",
    1024,
);

/// The directory to write into, and the limits of the checkout.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) root: &'a File,
    pub(super) into: &'a Path,
    pub(super) budget: &'a Budget,
    pub(super) deadline: Deadline,
    pub(super) written: &'a Written,
}

/// A file that is being written.
pub(super) struct NewFile<'a> {
    planned: &'a PlannedFile,
    target: Target<'a>,
    pub(super) file: File,
}

impl<'a> NewFile<'a> {
    /// Creates the file, which must not exist.
    pub(super) fn create(
        planned: &'a PlannedFile,
        target: Target<'a>,
    ) -> Result<Self, CheckoutError> {
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened = openat(target.root, &planned.path, flags, mode(planned));
        let path = target.into.join(&planned.path);
        let file = File::from(opened.map_err(|e| io_at("write", &path)(e.into()))?);
        Ok(Self {
            planned,
            target,
            file,
        })
    }

    fn failed(&self, error: impl Into<std::io::Error>) -> CheckoutError {
        io_at("write", &self.target.into.join(&self.planned.path))(error.into())
    }

    /// Refuses a Git LFS pointer. If the file is small enough to be a pointer, `content` is the whole file.
    pub(super) fn check_pointer(&self, content: &[u8]) -> Result<(), CheckoutError> {
        let pointer = self.planned.size < LFS.2
            && content.starts_with(LFS.0)
            && content.windows(LFS.1.len()).any(|window| window == LFS.1);
        let path = self.planned.path.as_os_str().as_bytes();
        if pointer && !self.target.budget.rules.takes_pointer(path) {
            return Err(refused(&self.planned.path, Refusal::Lfs));
        }
        Ok(())
    }

    /// Gives the file its mode, which must not depend on the umask: the group must be able to write. Then counts the file
    /// as written.
    pub(super) fn finish(self) -> Result<(), CheckoutError> {
        let made = fstat(&self.file).map_err(|e| self.failed(e))?;
        let mode = mode(self.planned);
        if Mode::from_bits_truncate(made.st_mode) != mode {
            fchmod(&self.file, mode).map_err(|e| self.failed(e))?;
        }
        self.target.written.add(self.planned.size);
        Ok(())
    }

    /// Removes the file again.
    pub(super) fn remove(self) -> Result<(), CheckoutError> {
        let Target { root, .. } = self.target;
        let removed = unlinkat(root, &self.planned.path, UnlinkatFlags::NoRemoveDir);
        removed.map_err(|e| self.failed(e))
    }
}

fn mode(planned: &PlannedFile) -> Mode {
    Mode::from_bits_truncate(if planned.executable { 0o775 } else { 0o664 })
}

/// The most files that are incomplete at a time. A worker reads an object in each of four threads; one that
/// begins more than this is after the descriptors of this process.
const MOST_OPEN: usize = 16;

/// A file that is incomplete: its hash so far and, as long as it may be a Git LFS pointer, its content.
struct Begun<'a> {
    new: NewFile<'a>,
    hasher: Hasher,
    head: Vec<u8>,
}

/// The files that one thread writes from the worker's pieces.
pub(super) struct Incoming<'a> {
    wanted: &'a [&'a PlannedFile],
    target: Target<'a>,
    open: HashMap<usize, Begun<'a>>,
}

impl<'a> Incoming<'a> {
    pub(super) fn new(wanted: &'a [&'a PlannedFile], target: Target<'a>) -> Self {
        Self {
            wanted,
            target,
            open: HashMap::new(),
        }
    }

    /// Hashes and writes a piece; returns whether its file is now complete.
    pub(super) fn take(&mut self, piece: ObjectPiece) -> Result<bool, CheckoutError> {
        let ObjectPiece { index, last, bytes } = piece;
        let mut begun = match self.open.remove(&index) {
            Some(begun) => begun,
            None => self.begin(index)?,
        };
        begun.hasher.update(&bytes);
        // No byte beyond the size that the room on the disk was judged by is written.
        if !begun.hasher.fits() {
            return Err(WorkerError::forged(begun.new.planned.id).into());
        }
        let new = &mut begun.new;
        new.file.write_all(&bytes).map_err(|e| new.failed(e))?;
        if new.planned.size < LFS.2 {
            begun.head.extend_from_slice(&bytes);
        }
        if !last {
            self.open.insert(index, begun);
            return Ok(false);
        }
        let Begun { new, hasher, head } = begun;
        if hasher.finish() != Some(new.planned.id) {
            return Err(WorkerError::forged(new.planned.id).into());
        }
        // What the revision is blamed for is proven first.
        new.check_pointer(&head)?;
        new.finish()?;
        Ok(true)
    }

    /// Creates the file that a first piece belongs to.
    fn begin(&self, index: usize) -> Result<Begun<'a>, CheckoutError> {
        let planned = self.wanted.get(index).copied();
        let planned = planned.ok_or_else(|| WorkerError::Forged {
            id: "an object that nobody asked for".to_owned(),
        })?;
        if self.open.len() >= MOST_OPEN {
            return Err(WorkerError::forged(planned.id).into());
        }
        Ok(Begun {
            new: NewFile::create(planned, self.target)?,
            hasher: Hasher::new(Kind::Blob, planned.size),
            head: Vec::new(),
        })
    }

    /// Checks that every file that was begun is complete.
    pub(super) fn check_whole(&self) -> Result<(), CheckoutError> {
        match self.open.values().next() {
            None => Ok(()),
            Some(begun) => Err(WorkerError::forged(begun.new.planned.id).into()),
        }
    }
}
