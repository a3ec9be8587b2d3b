//! Old releases that could not be removed: somebody else's files in them, mostly what root's python has
//! compiled there.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use super::layout::{Layout, UNFINISHED};
use super::place::user;

/// Most entries that are looked at in one release: enough for any app, and no load for `status`.
const MOST: usize = 100_000;

/// What is left of a release that could not be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The directory.
    pub directory: PathBuf,
    /// What is in the way.
    pub path: PathBuf,
    /// To whom that belongs.
    pub owner: String,
}

impl Layout {
    /// What could not be removed, because it does not belong to the owner of `releases/`.
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
            // The command for root names nothing that has another form than what we make.
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

/// The first entry below `directory` that does not belong to `owner`.
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
