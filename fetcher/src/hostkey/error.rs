//! Why a host key cannot be shown or pinned. Each message states what happened, to what, why, and what to do.

use std::path::PathBuf;

use thiserror::Error;

use super::{Offered, Pinned};
use crate::git::ssh::PathRefused;
use crate::process::ask::AskError;

/// Why a host key cannot be shown or pinned.
#[derive(Debug, Error)]
pub(crate) enum HostKeyError {
    /// A repository that is not reached by ssh.
    #[error(
        "{repository} is not reached by ssh: there is no host key to pin{}",
        instead(repository)
    )]
    NotSsh {
        /// The address of the repository, in the form that may be shown.
        repository: String,
    },
    /// A configured path that ssh would not receive unchanged.
    #[error(transparent)]
    Path(#[from] PathRefused),
    /// OpenSSH cannot be run, or gives no answer.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// `ssh -G` does not resolve the server's address.
    #[error("ssh does not resolve {host} ({said})\n  check the address and the ssh configuration")]
    Unresolved {
        /// The host as it is written in the repository's address.
        host: String,
        /// What ssh printed.
        said: String,
    },
    /// The server does not answer, or offers no host key.
    #[error("{host} shows no host key ({said})\n  is it reachable from here?")]
    Silent {
        /// The host as it is written in the repository's address.
        host: String,
        /// What ssh printed.
        said: String,
    },
    /// The fingerprint that was confirmed is not that of an offered key.
    #[error(
        "the server does not offer a key with the fingerprint {fingerprint}; nothing was changed\n  \
         it offers: {}\n  if the forge publishes none of these, somebody is between us and it",
        offered.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    NotOffered {
        /// The fingerprint that was confirmed.
        fingerprint: String,
        /// The keys that the server offers.
        offered: Vec<Offered>,
    },
    /// The key is marked as revoked in a file of pinned keys.
    #[error(
        "that key is marked @revoked in {}, line {}; nothing was changed",
        .0.file.display(), .0.line
    )]
    Revoked(Pinned),
    /// The line to replace holds for other servers too.
    #[error(
        "{}, line {line} pins a key for this server by a pattern, so for others too; nothing was \
         changed\n  edit that line by hand",
        file.display()
    )]
    Pattern {
        /// The file of pinned keys.
        file: PathBuf,
        /// The number of the line, from 1.
        line: usize,
    },
    /// The file of pinned keys cannot be read or written.
    #[error(
        "{}: {source}\n  run this as the user that owns the file and its directory, often root",
        file.display()
    )]
    Io {
        /// The file of pinned keys.
        file: PathBuf,
        /// The error of the kernel.
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
