//! Files that nobody but root can have written.
//!
//! A [`Directory`] is opened component by component from `/` down, no component a symbolic link, each
//! root's and writable by root alone, each looked at on its open descriptor: what was checked is what is
//! used. Files in it are read and replaced through that one descriptor, so that no name is resolved twice.
//! OpenSSH judges its own files alike (`safe_path_fd`).
//!
//! [`refused`]: why a path is not trusted. [`write`](mod@write): replacing a file.

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

/// Whom files must belong to, and from which directory downwards that is checked.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The only owner accepted.
    pub owner: u32,
    /// The first directory of the path that is checked.
    pub top: PathBuf,
}

impl Default for Trust {
    /// Root's, from `/` down.
    fn default() -> Self {
        Self {
            owner: 0,
            top: "/".into(),
        }
    }
}

/// An open directory that only the trusted owner can change, all the way down to it.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
    owner: u32,
}

impl Directory {
    /// Opens `path`; `None` where there is no such directory.
    ///
    /// # Errors
    /// [`Refused`]: a component is a link, somebody else's, or writable by others.
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

    /// The names in it, in order.
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

    /// The whole content of a regular file in it, of at most `most` bytes; `None` where there is no such
    /// file.
    ///
    /// # Errors
    /// [`Refused`]: somebody else can write the file, or it is too large or no regular file.
    pub fn read(&self, name: &OsStr, most: u64) -> Result<Option<Vec<u8>>, Refused> {
        let path = self.path.join(name);
        // O_NONBLOCK: opening a FIFO must not wait for somebody to write into it.
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

/// Lets a descriptor pass that is a directory or a regular file nobody but the owner can change.
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
