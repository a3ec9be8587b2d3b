//! The policy's files, opened so that nobody but root can have written what is read.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;

use super::names::Names;
use super::parse::{self, Problem};
use super::{Policy, Unit};

/// Where the daemon's policy lies.
pub const DIRECTORY: &str = "/etc/pp-restarter/policy.d";

/// Largest policy file, in bytes.
pub const MAX_FILE: u64 = 64 * 1024;

/// Whom the files must belong to, and from which directory downwards that is checked.
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

/// A policy and what is odd about its directory, though not wrong.
#[derive(Debug, Default)]
pub struct Loaded {
    /// What is allowed.
    pub policy: Policy,
    /// For the administrator to read.
    pub warnings: Vec<String>,
}

/// Reads every `[a-z0-9_-]+.toml` of `directory`, in the order of their names. A directory that
/// does not exist allows nothing.
///
/// # Errors
/// The first [`Problem`]; nothing is allowed then.
pub fn load(trust: &Trust, directory: &Path, names: &dyn Names) -> Result<Loaded, Problem> {
    let mut loaded = Loaded::default();
    let Some(dir) = open_directory(trust, directory)? else {
        let warning = format!(
            "{} does not exist: nobody may do anything",
            directory.display()
        );
        loaded.warnings.push(warning);
        return Ok(loaded);
    };
    for name in list(&dir, directory)? {
        let path = directory.join(&name);
        let stem = name.strip_suffix(".toml").unwrap_or("");
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
        if stem.is_empty() || !stem.bytes().all(good) {
            let warning = format!(
                "{path:?} is NOT read: a policy file is named like todo.toml, of a-z 0-9 _ - and ending in .toml"
            );
            loaded.warnings.push(warning);
            continue;
        }
        let text = read(trust, &dir, &name, &path)?;
        parse::add(&mut loaded.policy, &path, &text, names)?;
    }
    if loaded
        .policy
        .units
        .iter()
        .all(|Unit { grants, .. }| grants.is_empty())
    {
        let warning = format!(
            "{} allows nothing: nobody may do anything",
            directory.display()
        );
        loaded.warnings.push(warning);
    }
    Ok(loaded)
}

/// Opens a directory component by component, none of them a symbolic link and each checked on
/// its open descriptor, so that what was checked is what is used.
fn open_directory(trust: &Trust, directory: &Path) -> Result<Option<OwnedFd>, Problem> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut path = trust.top.clone();
    let below = directory.strip_prefix(&trust.top);
    let below = below.map_err(|_| problem(directory, "not an absolute path", "begin it with /"))?;
    let mut dir =
        openat(AT_FDCWD, &path, flags, Mode::empty()).map_err(|e| unreadable(&path, e))?;
    dir = checked(trust, dir, &path)?;
    for component in below.components() {
        let Component::Normal(name) = component else {
            return Err(problem(
                directory,
                "the path has `..` in it",
                "write it without",
            ));
        };
        path.push(name);
        dir = match openat(&dir, name, flags, Mode::empty()) {
            Ok(next) => checked(trust, next, &path)?,
            Err(Errno::ENOENT) => return Ok(None),
            Err(error) => return Err(unreadable(&path, error)),
        };
    }
    Ok(Some(dir))
}

fn list(dir: &OwnedFd, directory: &Path) -> Result<Vec<String>, Problem> {
    let failed = |error| unreadable(directory, error);
    let again = dir
        .try_clone()
        .map_err(|e| failed(Errno::from_raw(e.raw_os_error().unwrap_or(0))))?;
    let mut entries = Dir::from_fd(again).map_err(failed)?;
    let mut names = Vec::new();
    for entry in entries.iter() {
        let name = entry
            .map_err(failed)?
            .file_name()
            .to_string_lossy()
            .into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn read(trust: &Trust, dir: &OwnedFd, name: &str, path: &Path) -> Result<String, Problem> {
    // O_NONBLOCK: opening a FIFO must not wait for somebody to write into it.
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let fd = openat(dir, name, flags, Mode::empty()).map_err(|error| unreadable(path, error))?;
    let file = File::from(checked(trust, fd, path)?);
    let mut text = String::new();
    let read = file.take(MAX_FILE + 1).read_to_string(&mut text);
    if let Err(error) = read {
        return Err(problem(
            path,
            format!("cannot be read ({error})"),
            "it must be UTF-8 text",
        ));
    }
    if text.len() as u64 > MAX_FILE {
        return Err(problem(path, "is larger than 64 KiB", "split it"));
    }
    Ok(text)
}

/// Lets a descriptor pass that is a directory or a regular file nobody but the owner can change.
fn checked(trust: &Trust, fd: OwnedFd, path: &Path) -> Result<OwnedFd, Problem> {
    let file = File::from(fd);
    let seen = file.metadata().map_err(|error| {
        problem(
            path,
            format!("cannot be looked at ({error})"),
            "look at the disk",
        )
    })?;
    if !seen.is_file() && !seen.is_dir() {
        return Err(problem(
            path,
            "is neither a file nor a directory",
            "remove it",
        ));
    }
    if seen.uid() != trust.owner {
        let what = format!("belongs to uid {}", seen.uid());
        return Err(problem(
            path,
            what,
            &format!("chown {} it, or a stranger writes the policy", trust.owner),
        ));
    }
    if seen.mode() & 0o022 != 0 {
        let what = format!(
            "has mode {:04o}: others than its owner can write it",
            seen.mode() & 0o7777
        );
        return Err(problem(path, what, "chmod go-w it"));
    }
    Ok(file.into())
}

fn unreadable(path: &Path, error: Errno) -> Problem {
    match error {
        Errno::ELOOP | Errno::ENOTDIR => problem(
            path,
            "is a symbolic link or no directory",
            "put the real one in its place",
        ),
        other => problem(
            path,
            format!("cannot be opened ({other})"),
            "root must be able to read it",
        ),
    }
}

fn problem(path: &Path, what: impl Into<String>, help: &str) -> Problem {
    Problem {
        path: path.to_owned(),
        at: None,
        what: what.into(),
        help: help.to_owned(),
    }
}

#[cfg(test)]
mod tests;
