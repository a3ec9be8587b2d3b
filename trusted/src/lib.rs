//! Reads and replaces files that nobody but root can have written.
//!
//! A [`Directory`] is opened component by component, from `/` downwards. No component may be a symbolic
//! link, and each must belong to root and be writable by root alone. Each component is checked on its open
//! descriptor, so the directory that was checked is the directory that is used. Files in a [`Directory`] are
//! read and replaced through its descriptor, so that no path is resolved twice. OpenSSH checks its own files
//! in the same way (`safe_path_fd`).
//!
//! - [`refused`]: why a path is not trusted.
//! - [`write`](mod@write): replacing a file.

pub mod refused;
pub mod write;

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;

pub use refused::Refused;

/// Which owner files must have, and from which directory downwards ownership and modes are checked.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The only owner accepted.
    pub owner: u32,
    /// The topmost directory that is checked; directories above it are not.
    pub top: PathBuf,
}

impl Default for Trust {
    /// Accepts files of root only, and checks every directory from `/` downwards.
    fn default() -> Self {
        Self {
            owner: 0,
            top: "/".into(),
        }
    }
}

/// An open directory that only the trusted owner can change. The same holds for every directory between
/// [`Trust::top`] and this one.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
    owner: u32,
}

impl Directory {
    /// Opens the directory `path`; returns `None` if there is no such directory.
    ///
    /// # Errors
    /// [`Refused`]: a component of the path is a link, belongs to another user than the trusted owner, or is
    /// writable by others.
    pub fn open(trust: &Trust, path: &Path) -> Result<Option<Self>, Refused> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut at = trust.top.clone();
        let below = path.strip_prefix(&trust.top);
        let below =
            below.map_err(|_| Refused::new(path, "not an absolute path", "begin it with /"))?;
        let mut fd = openat(AT_FDCWD, &at, flags, Mode::empty())
            .map_err(|error| Refused::unreadable(&at, error))?;
        fd = checked(trust.owner, fd, &at)?;
        for component in below.components() {
            let Component::Normal(name) = component else {
                return Err(Refused::new(
                    path,
                    "the path has `..` in it",
                    "write it without",
                ));
            };
            at.push(name);
            fd = match openat(&fd, name, flags, Mode::empty()) {
                Ok(next) => checked(trust.owner, next, &at)?,
                Err(Errno::ENOENT) => return Ok(None),
                Err(error) => return Err(Refused::unreadable(&at, error)),
            };
        }
        Ok(Some(Self {
            fd,
            path: at,
            owner: trust.owner,
        }))
    }

    /// Returns the names of the directory's entries, sorted.
    ///
    /// # Errors
    /// [`Refused`]: the directory cannot be read.
    pub fn names(&self) -> Result<Vec<String>, Refused> {
        let failed = |error| Refused::unreadable(&self.path, error);
        let again = self
            .fd
            .try_clone()
            .map_err(|e| failed(Errno::from_raw(e.raw_os_error().unwrap_or(0))))?;
        let mut entries = Dir::from_fd(again).map_err(failed)?;
        let mut names = Vec::new();
        for entry in entries.iter() {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Returns the whole content of the regular file `name` in this directory, or `None` if there is no such
    /// file. The file may have at most `most` bytes.
    ///
    /// # Errors
    /// [`Refused`]: another user than the trusted owner can write the file, or the file is too large or is
    /// not a regular file.
    pub fn read(&self, name: &OsStr, most: u64) -> Result<Option<Vec<u8>>, Refused> {
        let path = self.path.join(name);
        // O_NONBLOCK: opening a FIFO must not wait until another process opens it for writing.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let fd = match openat(&self.fd, name, flags, Mode::empty()) {
            Err(Errno::ENOENT) => return Ok(None),
            opened => opened.map_err(|error| Refused::unreadable(&path, error))?,
        };
        let file = File::from(checked(self.owner, fd, &path)?);
        let mut bytes = Vec::new();
        file.take(most + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| {
                Refused::new(
                    &path,
                    format!("cannot be read ({error})"),
                    "look at the disk",
                )
            })?;
        if bytes.len() as u64 > most {
            let what = format!("is larger than {} KiB", most / 1024);
            return Err(Refused::new(&path, what, "split it"));
        }
        Ok(Some(bytes))
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Returns `fd` if it is a directory or a regular file that nobody but `owner` can change; refuses it
/// otherwise. `path` is named in the error only.
fn checked(owner: u32, fd: OwnedFd, path: &Path) -> Result<OwnedFd, Refused> {
    let file = File::from(fd);
    let seen = file.metadata().map_err(|error| {
        let what = format!("cannot be looked at ({error})");
        Refused::new(path, what, "look at the disk")
    })?;
    if !seen.is_file() && !seen.is_dir() {
        return Err(Refused::new(
            path,
            "is neither a file nor a directory",
            "remove it",
        ));
    }
    if seen.uid() != owner {
        let what = format!("belongs to uid {}", seen.uid());
        let help = format!("chown {owner} it, or a stranger decides what is in it");
        return Err(Refused::new(path, what, &help));
    }
    if seen.mode() & 0o022 != 0 {
        let what = format!(
            "has mode {:04o}: others than its owner can write it",
            seen.mode() & 0o7777
        );
        return Err(Refused::new(path, what, "chmod go-w it"));
    }
    Ok(file.into())
}
