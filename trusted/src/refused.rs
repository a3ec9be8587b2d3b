//! The error of this crate: why a path is not trusted.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use thiserror::Error;

/// A path that is not trusted: what is wrong with it, and how to correct that.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}: {what}: {help}", path.display())]
pub struct Refused {
    /// The file or directory that was refused.
    pub path: PathBuf,
    /// What is wrong with the path, such as `belongs to uid 7`.
    pub what: String,
    /// How an administrator corrects it.
    pub help: String,
}

impl Refused {
    pub(crate) fn new(path: &Path, what: impl Into<String>, help: &str) -> Self {
        Self {
            path: path.to_owned(),
            what: what.into(),
            help: help.to_owned(),
        }
    }

    pub(crate) fn unreadable(path: &Path, error: Errno) -> Self {
        match error {
            Errno::ELOOP | Errno::ENOTDIR => Self::new(
                path,
                "is a symbolic link or no directory",
                "put the real one in its place",
            ),
            other => Self::new(
                path,
                format!("cannot be opened ({other})"),
                "root must be able to read it",
            ),
        }
    }
}
