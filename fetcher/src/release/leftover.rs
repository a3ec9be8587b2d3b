//! Finds old releases that could not be removed because they hold files of another user, mostly bytecode that
//! a python run by root has compiled there.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use super::layout::{Layout, UNFINISHED};
use super::place::user;

/// Most entries that are looked at in one release: enough for any app, and no load for `status`.
const MOST: usize = 100_000;

/// A release that could not be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The directory of the release.
    pub directory: PathBuf,
    /// The first file or directory in it that belongs to another user.
    pub path: PathBuf,
    /// The name of that user.
    pub owner: String,
}

impl Layout {
    /// Gives the releases that could not be removed, because they hold files of another user than the owner
    /// of `releases/`.
    #[must_use]
    pub fn leftovers(&self) -> Vec<Leftover> {
        let Ok(owner) = fs::metadata(self.releases()).map(|found| found.uid()) else {
            return Vec::new();
        };
        let entries = fs::read_dir(self.releases())
            .into_iter()
            .flatten()
            .flatten();
        let unfinished = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().as_encoded_bytes();
            let release = name.strip_prefix(UNFINISHED.as_bytes());
            // `status` prints a command for root with these names: only names of the form that pp-fetcher
            // makes are in it.
            release.is_some_and(|name| name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-'))
        };
        let directories = entries.map(|entry| entry.path()).filter(unfinished);
        let in_the_way = |directory: PathBuf| {
            let (path, uid) = foreign(&directory, owner)?;
            Some(Leftover {
                directory,
                path,
                owner: user(Uid::from_raw(uid)),
            })
        };
        directories.filter_map(in_the_way).collect()
    }
}

/// Gives the first entry below `directory` that does not belong to `owner`, with its owner.
fn foreign(directory: &Path, owner: u32) -> Option<(PathBuf, u32)> {
    let mut left = vec![directory.to_owned()];
    let mut seen = 0;
    while let Some(path) = left.pop() {
        let found = path.symlink_metadata().ok()?;
        if found.uid() != owner {
            return Some((path, found.uid()));
        }
        seen += 1;
        if seen > MOST {
            return None;
        }
        if found.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            left.extend(entries.map(|entry| entry.path()));
        }
    }
    None
}
