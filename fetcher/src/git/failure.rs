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
    let said = TransportOutput::new(stderr);
    let of_ssh = ssh && code == Some(SSH_FAILED);
    let failure = if of_ssh { said.by_ssh() } else { None };
    failure.unwrap_or_else(|| said.by_git(of_ssh))
}

/// What a transport said, line by line.
struct TransportOutput(Vec<String>);

impl TransportOutput {
    fn new(stderr: &[u8]) -> Self {
        Self(text::lines(stderr))
    }

    /// Whether a line has one of these in it, in whatever case.
    fn has(&self, needles: &[&str]) -> bool {
        self.0.iter().any(|line| {
            let line = line.to_ascii_lowercase();
            needles.iter().any(|needle| line.contains(needle))
        })
    }

    /// A failure of ssh itself. The order matters.
    fn by_ssh(&self) -> Option<Failure> {
        // A mistake in its configuration before all else: ssh has asked nobody yet.
        if self.has(&[
            "bad configuration option",
            "can't open user config file",
            "bad owner or permissions on",
            "terminating, ",
        ]) {
            return Some(Failure::Configuration);
        }
        // A changed key also says "host key verification failed".
        let of_key = [
            "remote host identification has changed",
            "host key for",
            "revoked",
        ];
        if self.has(&of_key) && self.has(&["has changed", "revoked"]) {
            return Some(Failure::HostKeyChanged(host_key(&self.0)));
        }
        // Two of them speak: the ssh to the jump host says why, ours that its connection has ended.
        if self.has(&["host key verification failed"]) && self.has(&["connection closed"]) {
            return Some(Failure::JumpKeyUnknown);
        }
        let kinds: [(&[&str], Failure); 4] = [
            (
                &["host key verification failed", "host key is known for"],
                Failure::HostKeyUnknown,
            ),
            (&["could not resolve hostname"], Failure::Unresolved),
            (
                &["permission denied (", "too many authentication failures"],
                Failure::Denied,
            ),
            (
                &[
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
                ],
                Failure::Unreachable,
            ),
        ];
        let kind = kinds.into_iter().find(|(needles, _)| self.has(needles));
        kind.map(|(_, failure)| failure)
    }

    /// A failure of git at the other end, or of ssh's that is none of the above.
    fn by_git(&self, of_ssh: bool) -> Failure {
        if self.has(&["dubious ownership"]) {
            return Failure::NotOwned;
        }
        // A file that ssh misses is none of the server's.
        let no_repository = !of_ssh && self.has(&["no such file or directory"]);
        let not_found = [
            "repository not found",
            "does not appear to be a git repository",
            "not a git repository",
            "could not be found",
            "repository does not exist",
        ];
        if no_repository || self.has(&not_found) {
            return Failure::NoRepository;
        }
        Failure::Other
    }
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
