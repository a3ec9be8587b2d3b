//! Errors of a conversation with a remote: each says what happened, to which remote, why, and what to do.

use std::path::PathBuf;
use std::time::Duration;

use crate::util::text;
use thiserror::Error;

use super::failure::HostKey;
use super::https::HttpsError;
use super::ssh::PathRefused;

/// Why a listing or a fetch failed. `remote` is the remote's address without user or secret (rule 33).
#[derive(Debug, Error)]
pub(crate) enum RemoteError {
    /// A failure that only https has.
    #[error("{remote}: {error}")]
    Https {
        /// The remote's address.
        remote: String,
        /// The failure.
        error: Box<HttpsError>,
    },
    /// A configured path that ssh would not hand on unchanged.
    #[error(transparent)]
    Path(#[from] PathRefused),
    /// The transport's program does not exist or cannot be run.
    #[error("{remote}: cannot run {}: {source}; install {package}", program.display())]
    Program {
        /// The remote's address.
        remote: String,
        /// The program: ssh or git.
        program: PathBuf,
        /// The package to install.
        package: &'static str,
        /// The kernel's error.
        source: std::io::Error,
    },
    /// The server's host key is not the pinned one (rule 24). A changed key is never accepted automatically, nor
    /// is the fetch tried again automatically within an interval.
    #[error("{}", changed(remote, key))]
    HostKeyChanged {
        /// The remote's address.
        remote: String,
        /// What is known about the offered key and the pinned key.
        key: Box<HostKey>,
    },
    /// No key is pinned for this server.
    #[error(
        "{remote}: the server's host key is not known, and none is trusted on first sight: pin it in the known_hosts file after comparing its fingerprint with the one the forge publishes"
    )]
    HostKeyUnknown {
        /// The remote's address.
        remote: String,
    },
    /// No key is pinned for a jump host on the way to the server.
    #[error(
        "{remote}: the host key of a jump host on the way is not known, and none is trusted on first sight: compare its fingerprint and pin it in the file that UserKnownHostsFile names in the jump host's block of the ssh configuration, which is all that ssh goes by there"
    )]
    JumpKeyUnknown {
        /// The remote's address.
        remote: String,
    },
    /// ssh refuses its own configuration.
    #[error(
        "{remote}: the ssh configuration has a mistake, so nobody was asked ({said})\n  mend that line; `ssh -G -F FILE HOST` reads the file that `config` under [ssh] names as ssh does"
    )]
    SshConfiguration {
        /// The remote's address.
        remote: String,
        /// What ssh printed.
        said: String,
    },
    /// The server refuses the key that ssh offers.
    #[error(
        "{remote}: the server refuses our key ({said}): is its public half added at the forge as a deploy key of this repository?"
    )]
    Denied {
        /// The remote's address.
        remote: String,
        /// What ssh printed.
        said: String,
    },
    /// The host's name has no address.
    #[error(
        "{remote}: the host's name cannot be resolved ({said}): check the address, the alias in the ssh configuration, and the resolver"
    )]
    Unresolved {
        /// The remote's address.
        remote: String,
        /// What ssh printed.
        said: String,
    },
    /// The connection could not be made, or it broke.
    #[error(
        "{remote}: the server cannot be reached or the connection broke ({said}): tried again at the next poll"
    )]
    Unreachable {
        /// The remote's address.
        remote: String,
        /// What ssh printed.
        said: String,
    },
    /// The server has no such repository, or does not show it to pp-fetcher.
    #[error(
        "{remote}: there is no such repository, or our key may not see it ({said}): check the path and which repository the deploy key belongs to"
    )]
    NoRepository {
        /// The remote's address.
        remote: String,
        /// What the server said.
        said: String,
    },
    /// git refuses a local repository that belongs to another user.
    #[error(
        "{remote}: git does not serve a repository that belongs to another user: give it to this user, or list it under safe.directory in this user's git configuration"
    )]
    NotOwned {
        /// The remote's address.
        remote: String,
    },
    /// The deadline passed. Every process started for the conversation was killed.
    #[error("{remote}: not finished within {} s, everything that was started for it has been ended{}; a slow network or a large repository wants a longer `timeout` under [fetch] of the app's file", deadline.as_secs_f64(), text::in_parentheses(said))]
    TimedOut {
        /// The remote's address.
        remote: String,
        /// The deadline.
        deadline: Duration,
        /// What the transport had printed before the deadline.
        said: String,
    },
    /// pp-fetcher was told to stop during the conversation.
    #[error(
        "{remote}: pp-fetcher was told to stop before the server had answered; the next poll asks again"
    )]
    Stopped {
        /// The remote's address.
        remote: String,
    },
    /// The server sent more bytes than the budget allows.
    #[error(
        "{remote}: the server sent more than the {budget} bytes allowed: if the repository is really that large, a higher `limit` under [fetch] of the app's file lets it come"
    )]
    TooLarge {
        /// The remote's address.
        remote: String,
        /// The budget in bytes.
        budget: u64,
    },
    /// More refs match than are kept.
    #[error(
        "{remote}: more than {most} refs match: name the wanted ones more closely, with a longer beginning of `tag`, or with `ref`"
    )]
    TooManyRefs {
        /// The remote's address.
        remote: String,
        /// The limit.
        most: usize,
    },
    /// The repository names its objects by another hash than SHA-1.
    #[error(
        "{remote}: the repository uses {format} object names; only sha1 repositories can be deployed"
    )]
    ObjectFormat {
        /// The remote's address.
        remote: String,
        /// The object format that the server announces.
        format: String,
    },
    /// The server reports an error of its own.
    #[error("{remote}: the server reports: {said}")]
    Server {
        /// The remote's address.
        remote: String,
        /// The server's words, cleaned.
        said: String,
    },
    /// The server's answer is not the git protocol.
    #[error(
        "{remote}: the answer is not the git protocol: {what}{}",
        text::in_parentheses(said)
    )]
    Protocol {
        /// The remote's address.
        remote: String,
        /// What is wrong with the answer.
        what: String,
        /// What the transport printed.
        said: String,
    },
    /// The pack was refused by the indexer: it is broken, or objects are missing from it.
    #[error("{remote}: the received objects are refused, nothing was kept: {why}")]
    Pack {
        /// The remote's address.
        remote: String,
        /// What the worker says.
        why: String,
    },
}

fn changed(remote: &str, key: &HostKey) -> String {
    let unknown = || "unknown".to_owned();
    let at = key
        .line
        .as_ref()
        .map_or_else(unknown, |(file, line)| format!("{file}, line {line}"));
    format!(
        "{remote}: THE SERVER'S HOST KEY HAS CHANGED; nothing was fetched. \
         Offered: {} {}. Pinned: {} ({at}). \
         Somebody may be between us and the server, or the forge has a new key: compare the offered \
         fingerprint with the one the forge publishes, and only then replace that line",
        key.kind.as_deref().unwrap_or_default(),
        key.offered.clone().unwrap_or_else(unknown),
        key.pinned.clone().unwrap_or_else(unknown),
    )
}
