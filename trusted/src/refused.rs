//! Why a path is not trusted.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use thiserror::Error;

/// What is wrong with a path, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}: {what}: {help}", path.display())]
pub struct Refused {
    /// The file or directory.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
    /// What would be right.
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
