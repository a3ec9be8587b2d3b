//! What ssh and git say when they fail, read into kinds a person and a program can act on.
//!
//! Pure: from the text on stderr and the exit code, with real texts as fixtures in the tests.

use crate::util::text;

/// ssh's exit code for its own errors; any other is the remote program's.
const SSH_FAILED: i32 = 255;

/// What kind of failure it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The server's key is not the one pinned (rule 24).
    HostKeyChanged(HostKey),
    /// No key of this server is pinned.
    HostKeyUnknown,
    /// No key of a jump host on the way is pinned.
    JumpKeyUnknown,
    /// The server refuses our key.
    Denied,
    /// The name has no address.
    Unresolved,
    /// Nobody answers there, or the connection broke.
    Unreachable,
    /// The server has no such repository, or does not show it to us.
    NoRepository,
    /// git refuses a repository that belongs to somebody else.
    NotOwned,
    /// ssh's own configuration has a mistake.
    Configuration,
    /// Something else; the text says what.
    Other,
}

/// What ssh tells about a host key that is not the pinned one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HostKey {
    /// Kind of the key the server sent, as `ED25519`.
    pub kind: Option<String>,
    /// Fingerprint of the key the server sent, as `SHA256:…`.
    pub offered: Option<String>,
    /// File and line of the pinned key.
    pub line: Option<(String, u64)>,
    /// Fingerprint of the pinned key.
    pub pinned: Option<String>,
}

/// Reads what a transport said and how it ended. `ssh` is false for git on this machine.
#[must_use]
pub(crate) fn classify(ssh: bool, stderr: &[u8], code: Option<i32>) -> Failure {
    let said = text::lines(stderr);
    let any = |needles: &[&str]| {
        said.iter().any(|line| {
            let line = line.to_ascii_lowercase();
            needles.iter().any(|needle| line.contains(needle))
        })
    };
    if ssh && code == Some(SSH_FAILED) {
        // Before all else: it has asked nobody yet.
        if any(&[
            "bad configuration option",
            "can't open user config file",
            "bad owner or permissions on",
            "terminating, ",
        ]) {
            return Failure::Configuration;
        }
        // The order matters: a changed key also says "host key verification failed".
        if any(&[
            "remote host identification has changed",
            "host key for",
            "revoked",
        ]) && any(&["has changed", "revoked"])
        {
            return Failure::HostKeyChanged(host_key(&said));
        }
        // Two of them speak: the one to the jump host says why, ours that its connection has ended.
        if any(&["host key verification failed"]) && any(&["connection closed"]) {
            return Failure::JumpKeyUnknown;
        }
        if any(&["host key verification failed", "host key is known for"]) {
            return Failure::HostKeyUnknown;
        }
        if any(&["could not resolve hostname"]) {
            return Failure::Unresolved;
        }
        if any(&["permission denied (", "too many authentication failures"]) {
            return Failure::Denied;
        }
        if any(&[
            "connection refused",
            "connection timed out",
            "operation timed out",
            "no route to host",
            "network is unreachable",
            "connection reset",
            "connection closed",
            "not responding",
            "banner exchange",
            "broken pipe",
        ]) {
            return Failure::Unreachable;
        }
    }
    if any(&["dubious ownership"]) {
        return Failure::NotOwned;
    }
    // A file that ssh misses is none of the server's.
    let remote = !ssh || code != Some(SSH_FAILED);
    if remote && any(&["no such file or directory"]) {
        return Failure::NoRepository;
    }
    if any(&[
        "repository not found",
        "does not appear to be a git repository",
        "not a git repository",
        "could not be found",
        "repository does not exist",
    ]) {
        return Failure::NoRepository;
    }
    Failure::Other
}

/// The facts in ssh's warning of a changed host key.
fn host_key(said: &[String]) -> HostKey {
    let mut key = HostKey::default();
    for line in said {
        if let Some(rest) = line.strip_prefix("The fingerprint for the ") {
            key.kind = rest.split(' ').next().map(str::to_owned);
        } else if line.starts_with("SHA256:") {
            key.offered = Some(line.trim_end_matches('.').to_owned());
        } else if let Some((_, at)) = line
            .strip_prefix("Offending ")
            .and_then(|l| l.split_once(" key in "))
        {
            key.line = at
                .rsplit_once(':')
                .and_then(|(file, number)| Some((file.to_owned(), number.parse().ok()?)));
        }
    }
    key
}

#[cfg(test)]
#[path = "failure_tests.rs"]
mod tests;
