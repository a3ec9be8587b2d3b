//! Why a tree was not checked out. Every refusal names the path.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pp_objects::ObjectId;
use thiserror::Error;

use crate::space::{self, NoRoom};
use crate::worker::WorkerError;

/// Why there is no checkout.
#[derive(Debug, Error)]
pub(crate) enum CheckoutError {
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
    /// The worker cannot hand over an object, or what it handed over is another one.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// An object is no commit or tree as git writes them.
    #[error(
        "{}the {kind} {id} is none as git writes them: push one that git has made",
        at(path)
    )]
    Malformed {
        /// Path in the tree; empty for the commit itself.
        path: String,
        /// The object.
        id: ObjectId,
        /// What it should be.
        kind: &'static str,
    },
    /// `.gitattributes` files that are too large to be looked through.
    #[error(
        "the tree is refused because its .gitattributes files have more than {} KiB together, which pp-fetcher \
         does not look through for filters\n  patterns in place of single paths make them smaller", .0 / 1024
    )]
    Attributes(usize),
    /// `.gitattributes` asks for a filter.
    #[error(
        "the tree is refused because of {path}: .gitattributes asks for the filter {filter:?}, and pp-fetcher \
         applies none, so what is deployed would not be what a clone with that filter has\n  in the app's file, \
         under [tree]: leave_out = [\"{path}\"] where the app does without it, or unfiltered = [\"{path}\"] where \
         what is in the repository is what it needs"
    )]
    Filter {
        /// The file, fit for a terminal.
        path: String,
        /// The filter's name.
        filter: String,
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
pub(crate) enum Refusal {
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
    Mode(u32),
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
    /// Whether the revision is to blame: its tree is one that is never deployed.
    #[must_use]
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. }
                | Self::Malformed { .. }
                | Self::Attributes(_)
                | Self::Filter { .. }
        )
    }
}

fn at(path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!("{path}: ")
    }
}

pub(super) fn io_at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CheckoutError {
    let path = path.to_owned();
    move |source| CheckoutError::Io { what, path, source }
}
