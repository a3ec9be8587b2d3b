//! What every change of a file changes.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A file as it was at one moment. Another stamp means another file, or that the file was changed: ctime cannot be set
/// back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    /// Returns the stamp of the file at `path`; `None` if the file cannot be looked at.
    #[must_use]
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let found = path.metadata().ok()?;
        Some(Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}
