//! Why a host key cannot be shown or pinned: what happened, to what, why, and what to do.

use std::path::PathBuf;

use thiserror::Error;

use super::{Offered, Pinned};
use crate::git::ssh::PathRefused;
use crate::process::ask::AskError;

/// Why not.
#[derive(Debug, Error)]
pub(crate) enum HostKeyError {
    /// A repository that is not reached by ssh.
    #[error(
        "{repository} is not reached by ssh: there is no host key to pin{}",
        instead(repository)
    )]
    NotSsh {
        /// Its address, as it may be shown.
        repository: String,
    },
    /// A configured path that ssh would not get unchanged.
    #[error(transparent)]
    Path(#[from] PathRefused),
    /// OpenSSH cannot be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// `ssh -G` does not say where the server is.
    #[error("ssh does not resolve {host} ({said})\n  check the address and the ssh configuration")]
    Unresolved {
        /// The host as the address has it.
        host: String,
        /// What ssh said.
        said: String,
    },
    /// The server does not answer, or offers nothing.
    #[error("{host} shows no host key ({said})\n  is it reachable from here?")]
    Silent {
        /// The host as the address has it.
        host: String,
        /// What ssh said.
        said: String,
    },
    /// The confirmed fingerprint is not of an offered key.
    #[error(
        "the server does not offer a key with the fingerprint {fingerprint}; nothing was changed\n  \
         it offers: {}\n  if the forge publishes none of these, somebody is between us and it",
        offered.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    NotOffered {
        /// What was confirmed.
        fingerprint: String,
        /// What is offered.
        offered: Vec<Offered>,
    },
    /// Somebody has declared that key bad.
    #[error(
        "that key is marked @revoked in {}, line {}; nothing was changed",
        .0.file.display(), .0.line
    )]
    Revoked(Pinned),
    /// The line to replace is not for this server alone.
    #[error(
        "{}, line {line} pins a key for this server by a pattern, so for others too; nothing was \
         changed\n  edit that line by hand",
        file.display()
    )]
    Pattern {
        /// The file.
        file: PathBuf,
        /// Its line, from 1.
        line: usize,
    },
    /// The file cannot be read or written.
    #[error(
        "{}: {source}\n  run this as the user that owns the file and its directory, often root",
        file.display()
    )]
    Io {
        /// The file.
        file: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// No temporary file can be made.
    #[error("no temporary file: {0}\n  is there room in /tmp, and may this user write?")]
    NoRoom(std::io::Error),
}

fn instead(repository: &str) -> &'static str {
    if repository.starts_with("https:") {
        "\n  the server is known by its certificate: ca_file under [https] says which authorities count"
    } else {
        ""
    }
}
