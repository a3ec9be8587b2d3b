//! Writing what was planned. Directories first, then files, links last: until the last file is
//! written there is no link in the tree that a path could lead through, and every file is made anew
//! (`O_EXCL`), never opened and never a hard link.

use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use git2::{Odb, Repository};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FchmodatFlags, Mode, fchmod, fchmodat, fstat, fstatat, mkdirat};
use nix::unistd::symlinkat;

use super::error::{CheckoutError, Refusal, io_at};
use super::live::{Copier, Live};
use super::plan::{Plan, PlannedFile, object_error, refused};
use crate::checkout::Budget;
use crate::git::Mirror;

/// Most threads that read objects and write files: more than a few only wait for the same disk.
const MOST_THREADS: usize = 4;

/// Files a thread takes at a time: neighbours in the tree are often neighbours in the pack.
const BATCH: usize = 32;

/// What a Git LFS pointer begins with, and what its second line is. It is shorter than 1 KiB.
const LFS: (&[u8], &[u8], u64) = (
    b"version https://git-lfs.github.com/spec/",
    b"\noid sha256:",
    1024,
);

/// How far a checkout has come, for a progress bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Files written.
    pub files: u64,
    /// Files to write.
    pub of: u64,
}

/// Gives the number of files whose content came from the live release.
pub(super) fn write(
    mirror: &Mirror,
    live: Option<&Live>,
    plan: &Plan,
    root: &File,
    into: &Path,
    (budget, deadline): (&Budget, Instant),
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<u64, CheckoutError> {
    directories(plan, root, into)?;
    let work = Work {
        live,
        plan,
        root,
        into,
        deadline,
        budget,
        progress,
        next: AtomicUsize::new(0),
        done: AtomicU64::new(0),
        copied: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        error: Mutex::new(None),
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(MOST_THREADS).min(plan.files.len() / BATCH + 1);
    let mirror = mirror.path();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work.run(mirror));
        }
    });
    if let Some(error) = work.error.into_inner().unwrap_or_else(|e| e.into_inner()) {
        return Err(error);
    }
    for link in &plan.links {
        let made = symlinkat(&link.target, root, &link.path);
        made.map_err(|e| io_at("make the link", &into.join(&link.path))(e.into()))?;
    }
    Ok(work.copied.into_inner())
}

fn directories(plan: &Plan, root: &File, into: &Path) -> Result<(), CheckoutError> {
    let mode = fstat(root)
        .map_err(|e| io_at("look at", into)(e.into()))?
        .st_mode;
    // The kernel hands the setgid bit of a directory down; chmod would take it away again.
    let inherited = Mode::from_bits_truncate(mode) & Mode::S_ISGID;
    let mode = Mode::from_bits_truncate(0o775);
    for directory in &plan.directories {
        let failed = |e: nix::Error| io_at("make the directory", &into.join(directory))(e.into());
        mkdirat(root, directory, mode).map_err(failed)?;
        let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
        let made = fstatat(root, directory, flags).map_err(failed)?;
        if Mode::from_bits_truncate(made.st_mode) != mode | inherited {
            let follow = FchmodatFlags::FollowSymlink;
            allowed(fchmodat(root, directory, mode | inherited, follow)).map_err(failed)?;
        }
    }
    Ok(())
}

/// A contained process may change no mode; it has no umask, so only a default ACL can have made another
/// one, and that is then what its owner wants.
fn allowed(changed: nix::Result<()>) -> nix::Result<()> {
    match changed {
        Err(Errno::EPERM) => Ok(()),
        other => other,
    }
}

/// What the threads share.
struct Work<'a> {
    live: Option<&'a Live>,
    plan: &'a Plan,
    root: &'a File,
    into: &'a Path,
    deadline: Instant,
    budget: &'a Budget,
    progress: &'a (dyn Fn(Progress) + Sync),
    next: AtomicUsize,
    done: AtomicU64,
    copied: AtomicU64,
    stop: AtomicBool,
    error: Mutex<Option<CheckoutError>>,
}

impl Work<'_> {
    /// One thread: takes batches until there are none, or somebody has failed.
    fn run(&self, mirror: &Path) {
        if let Err(error) = self.batches(mirror) {
            self.stop.store(true, Ordering::Relaxed);
            let mut first = self.error.lock().unwrap_or_else(|e| e.into_inner());
            first.get_or_insert(error);
        }
    }

    fn batches(&self, mirror: &Path) -> Result<(), CheckoutError> {
        // A handle for each thread: a repository is not to be shared.
        let unreadable = |error: git2::Error| CheckoutError::Object {
            path: mirror.display().to_string(),
            id: git2::Oid::ZERO_SHA1,
            why: error.message().to_owned(),
        };
        let repository = Repository::open_bare(mirror).map_err(unreadable)?;
        let odb = repository.odb().map_err(unreadable)?;
        let mut copier = self.live.map(Copier::new);
        loop {
            let from = self.next.fetch_add(BATCH, Ordering::Relaxed);
            let Some(files) = self.plan.files.get(from..) else {
                return Ok(());
            };
            if files.is_empty() {
                return Ok(());
            }
            for file in files.iter().take(BATCH) {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                if Instant::now() > self.deadline {
                    return Err(CheckoutError::TimedOut(self.budget.time));
                }
                self.file(&odb, copier.as_mut(), file)?;
            }
        }
    }

    fn file(
        &self,
        odb: &Odb<'_>,
        copier: Option<&mut Copier<'_>>,
        file: &PlannedFile,
    ) -> Result<(), CheckoutError> {
        let failed = |error| io_at("write", &self.into.join(&file.path))(error);
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(if file.executable { 0o775 } else { 0o664 });
        let opened = openat(self.root, &file.path, flags, mode);
        let mut opened = File::from(opened.map_err(|e| failed(e.into()))?);
        let copied = match copier {
            Some(copier) => copier.copy(file, &mut opened).map_err(failed)?,
            None => None,
        };
        if let Some(content) = copied {
            // The live release may hold one that was put there in place of the large file.
            self.check_lfs(file, content)?;
            self.copied.fetch_add(1, Ordering::Relaxed);
        } else {
            let object = odb.read(file.id);
            let object = object.map_err(|error| object_error(&file.path, file.id, &error))?;
            self.check_lfs(file, object.data())?;
            opened.write_all(object.data()).map_err(failed)?;
        }
        // Not left to the umask: the group must be able to write.
        let made = fstat(&opened).map_err(|e| failed(e.into()))?;
        if Mode::from_bits_truncate(made.st_mode) != mode {
            allowed(fchmod(&opened, mode)).map_err(|e| failed(e.into()))?;
        }
        let files = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        (self.progress)(Progress {
            files,
            of: self.plan.files.len() as u64,
        });
        Ok(())
    }

    /// `content` is the whole of a file that is small enough to be a pointer.
    fn check_lfs(&self, file: &PlannedFile, content: &[u8]) -> Result<(), CheckoutError> {
        let pointer = file.size < LFS.2
            && content.starts_with(LFS.0)
            && content.windows(LFS.1.len()).any(|window| window == LFS.1);
        let taken = || {
            self.budget
                .rules
                .takes_pointer(file.path.as_os_str().as_bytes())
        };
        if pointer && !taken() {
            return Err(refused(&file.path, Refusal::Lfs));
        }
        Ok(())
    }
}
