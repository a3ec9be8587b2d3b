//! Why a tree was not checked out. Every refusal names the path.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use git2::Oid;
use thiserror::Error;

use crate::space::{self, NoRoom};

/// Why there is no checkout.
#[derive(Debug, Error)]
pub enum CheckoutError {
    /// The tree holds something that is never deployed.
    #[error("the tree is refused because of {path}: {why}")]
    Refused {
        /// Path in the tree, fit for a terminal.
        path: String,
        /// What is wrong there.
        why: Refusal,
    },
    /// The time was not enough.
    #[error("the checkout did not finish within {} s: a slow disk (`iostat -x 1` shows how busy it is), or more files than the app needs: leave_out under [tree]", .0.as_secs())]
    TimedOut(Duration),
    /// An object is not in the mirror or cannot be read.
    #[error(
        "{path}: the mirror cannot give the object {id} ({why}): move mirror.git in the app's state directory away, and the next poll fetches all of it again"
    )]
    Object {
        /// Path in the tree.
        path: String,
        /// The object.
        id: Oid,
        /// What libgit2 says.
        why: String,
    },
    /// The tree does not fit on the disk; nothing was written.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The directory to write into is not empty.
    #[error("{} is not empty: a checkout goes into a fresh directory only", .0.display())]
    NotEmpty(PathBuf),
    /// The file system.
    #[error("cannot {what} {}: {source}{}", path.display(), space::advice(source))]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// What is wrong with an entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// `.git`, or a name that some file system takes for it.
    #[error("the name is, or on some file systems is taken for, .git")]
    DotGit,
    /// `.`, `..`, empty, with a slash, or too long.
    #[error("it is no name of a file: empty, `.`, `..`, longer than 255 bytes, or with a slash")]
    Name,
    /// Control characters.
    #[error("the name has control characters, which logs and scripts would stumble over")]
    Control,
    /// Twice in one directory.
    #[error("the name is there twice")]
    Twice,
    /// A path that the kernel would not take.
    #[error("the path is longer than {0} bytes")]
    PathLength(usize),
    /// Directories in directories.
    #[error("it lies more than {0} directories deep")]
    Depth(usize),
    /// Too many entries.
    #[error(
        "the tree has more than {0} files and directories; what the app does without can be left out: leave_out under [tree]"
    )]
    Entries(u64),
    /// A file too large.
    #[error(
        "it is {size} bytes long, more than the {limit} allowed for one file; if the app does without it: leave_out under [tree]"
    )]
    FileSize {
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// All files together.
    #[error(
        "with it the files are more than {0} bytes in all; what the app does without can be left out: leave_out under [tree]"
    )]
    Bytes(u64),
    /// Not a file, link, directory or submodule.
    #[error("its mode {0:06o} is none that git writes")]
    Mode(i32),
    /// A submodule.
    #[error(
        "it is a submodule, and the app's file does not say where it comes from: add `[[submodule]]` with its path and repository, or with empty = true if the app does without it"
    )]
    Submodule,
    /// A large file that is not there.
    #[error(
        "it is a Git LFS pointer: the file itself is not in the repository and would be deployed as three lines of text; under [tree]: leave_out if the app does without it, lfs_pointers if it is to be deployed as it is"
    )]
    Lfs,
    /// A link's target.
    #[error(
        "the symbolic link leads to {target}: only relative targets within the release are allowed, with `..` at the beginning only; under [tree]: outside_links if it may lead there, leave_out if the app does without it"
    )]
    Link {
        /// The target, fit for a terminal.
        target: String,
    },
}

impl CheckoutError {
    /// Whether the disk is full (bytes, inodes or quota).
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            Self::NoRoom(_) => true,
            Self::Io { source, .. } => matches!(source.kind(), StorageFull | QuotaExceeded),
            _ => false,
        }
    }

    /// A word that stays the same from version to version, for programs and for the history.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "tree-refused",
            Self::TimedOut(_) => "timed-out",
            Self::Object { .. } => "mirror",
            Self::NoRoom(_) | Self::Io { .. } if self.is_disk_full() => "disk-full",
            Self::NotEmpty(_) | Self::NoRoom(_) | Self::Io { .. } => "file-system",
        }
    }
}

pub(super) fn io_at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CheckoutError {
    let path = path.to_owned();
    move |source| CheckoutError::Io { what, path, source }
}
