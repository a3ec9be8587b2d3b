//! Errors of a checkout. Every refusal names the path of the refused entry.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pp_objects::ObjectId;
use thiserror::Error;

use crate::space::{self, NoRoom};
use crate::worker::WorkerError;

/// Why a checkout failed.
#[derive(Debug, Error)]
pub(crate) enum CheckoutError {
    /// The tree holds an entry that is never deployed.
    #[error("the tree is refused because of {path}: {why}")]
    Refused {
        /// The entry's path in the tree, fit for a terminal.
        path: String,
        /// What is wrong with the entry.
        why: Refusal,
    },
    /// The checkout took longer than its limit.
    #[error("the checkout did not finish within {} s: a slow disk (`iostat -x 1` shows how busy it is), or more files than the app needs: leave_out under [tree]", .0.as_secs())]
    TimedOut(Duration),
    /// The worker cannot hand over an object, or has handed over another object than the one named.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// An object is not a commit or tree as git writes them.
    #[error(
        "{}the {kind} {id} is none as git writes them: push one that git has made",
        at(path)
    )]
    Malformed {
        /// The object's path in the tree; empty for the commit itself.
        path: String,
        /// The object's id.
        id: ObjectId,
        /// The kind that the object should have.
        kind: &'static str,
    },
    /// The `.gitattributes` files are too large to be searched for filters.
    #[error(
        "the tree is refused because its .gitattributes files have more than {} KiB together, which pp-fetcher \
         does not look through for filters\n  patterns in place of single paths make them smaller", .0 / 1024
    )]
    Attributes(usize),
    /// `.gitattributes` asks for a filter for a file.
    #[error(
        "the tree is refused because of {path}: .gitattributes asks for the filter {filter:?}, and pp-fetcher \
         applies none, so what is deployed would not be what a clone with that filter has\n  in the app's file, \
         under [tree]: leave_out = [\"{path}\"] where the app does without it, or unfiltered = [\"{path}\"] where \
         what is in the repository is what it needs"
    )]
    Filter {
        /// The file's path, fit for a terminal.
        path: String,
        /// The filter's name.
        filter: String,
    },
    /// The tree does not fit on the disk; nothing was written.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The directory to write the checkout into is not empty.
    #[error("{} is not empty: a checkout goes into a fresh directory only", .0.display())]
    NotEmpty(PathBuf),
    /// The file system returned an error.
    #[error("cannot {what} {}: {source}{}", path.display(), space::advice(source))]
    Io {
        /// The action that failed.
        what: &'static str,
        /// The file or directory of the action.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
}

/// What is wrong with an entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Refusal {
    /// The name is `.git`, or a name that some file system takes for it.
    #[error("the name is, or on some file systems is taken for, .git")]
    DotGit,
    /// The name is `.`, `..`, empty, with a slash, or too long.
    #[error("it is no name of a file: empty, `.`, `..`, longer than 255 bytes, or with a slash")]
    Name,
    /// The name has control characters.
    #[error("the name has control characters, which logs and scripts would stumble over")]
    Control,
    /// The name is twice in one directory.
    #[error("the name is there twice")]
    Twice,
    /// The path is longer than the kernel would take.
    #[error("the path is longer than {0} bytes")]
    PathLength(usize),
    /// The entry lies in more nested directories than allowed.
    #[error("it lies more than {0} directories deep")]
    Depth(usize),
    /// The tree has too many entries.
    #[error(
        "the tree has more than {0} files and directories; what the app does without can be left out: leave_out under [tree]"
    )]
    Entries(u64),
    /// All paths together are too long to be held.
    #[error("the paths of the tree have more than {0} MiB together")]
    Paths(usize),
    /// The file is too large.
    #[error(
        "it is {size} bytes long, more than the {limit} allowed for one file; if the app does without it: leave_out under [tree]"
    )]
    FileSize {
        /// The file's size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// All files together are too large.
    #[error(
        "with it the files are more than {0} bytes in all; what the app does without can be left out: leave_out under [tree]"
    )]
    Bytes(u64),
    /// The tree has no directory at the path that `[deploy] subdirectory` names.
    #[error("the revision has no directory there, and `subdirectory` under [deploy] names it")]
    NoDirectory,
    /// The mode is not that of a file, link, directory or submodule.
    #[error("its mode {0:06o} is none that git writes")]
    Mode(u32),
    /// The entry is a submodule that the app's file does not describe.
    #[error(
        "it is a submodule, and the app's file does not say where it comes from: add `[[submodule]]` with its path and repository, or with empty = true if the app does without it"
    )]
    Submodule,
    /// The file is a Git LFS pointer: the large file itself is not in the repository.
    #[error(
        "it is a Git LFS pointer: the file itself is not in the repository and would be deployed as three lines of text; under [tree]: leave_out if the app does without it, lfs_pointers if it is to be deployed as it is"
    )]
    Lfs,
    /// The target of the symbolic link is not allowed.
    #[error(
        "the symbolic link leads to {target}: only relative targets within the release are allowed, with `..` at the beginning only; under [tree]: outside_links if it may lead there, leave_out if the app does without it"
    )]
    Link {
        /// The target, fit for a terminal.
        target: String,
    },
}

impl CheckoutError {
    /// Returns whether the revision is to blame: its tree is one that is never deployed.
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
