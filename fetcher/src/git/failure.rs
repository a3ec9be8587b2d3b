//! Reads the messages of a failed ssh or git into kinds of failure that a person and a program can act on.
//!
//! Works only from the text on stderr and the exit code; the tests have real texts as fixtures.

use crate::util::text;

/// ssh's exit code for its own errors; any other exit code is the remote program's.
const SSH_FAILED: i32 = 255;

/// The kind of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The server's host key is not the pinned key (rule 24).
    HostKeyChanged(HostKey),
    /// No host key of this server is pinned.
    HostKeyUnknown,
    /// No host key of a jump host on the way is pinned.
    JumpKeyUnknown,
    /// The server refuses the key that ssh offers.
    Denied,
    /// The host's name has no address.
    Unresolved,
    /// The server does not answer, or the connection broke.
    Unreachable,
    /// The server has no such repository, or does not show it to pp-fetcher.
    NoRepository,
    /// git refuses a repository that belongs to another user.
    NotOwned,
    /// ssh's own configuration has a mistake.
    Configuration,
    /// A failure of another kind; the text on stderr describes it.
    Other,
}

/// The facts that ssh prints about a host key that is not the pinned key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HostKey {
    /// Kind of the key that the server sent, such as `ED25519`.
    pub kind: Option<String>,
    /// Fingerprint of the key that the server sent, as `SHA256:…`.
    pub offered: Option<String>,
    /// File and line of the pinned key.
    pub line: Option<(String, u64)>,
    /// Fingerprint of the pinned key.
    pub pinned: Option<String>,
}

/// Returns the kind of failure from a transport's stderr and exit code. `ssh` is false for a local git.
#[must_use]
pub(crate) fn classify(ssh: bool, stderr: &[u8], code: Option<i32>) -> Failure {
    let said = TransportOutput::new(stderr);
    let of_ssh = ssh && code == Some(SSH_FAILED);
    let failure = if of_ssh { said.by_ssh() } else { None };
    failure.unwrap_or_else(|| said.by_git(of_ssh))
}

/// The stderr of a transport, split into lines.
struct TransportOutput(Vec<String>);

impl TransportOutput {
    fn new(stderr: &[u8]) -> Self {
        Self(text::lines(stderr))
    }

    /// Returns whether a line contains one of the needles, upper and lower case alike.
    fn has(&self, needles: &[&str]) -> bool {
        self.0.iter().any(|line| {
            let line = line.to_ascii_lowercase();
            needles.iter().any(|needle| line.contains(needle))
        })
    }

    /// Returns the kind of a failure of ssh itself. The order of the checks matters.
    fn by_ssh(&self) -> Option<Failure> {
        // A mistake in ssh's configuration is checked first: ssh has connected to no server yet.
        if self.has(&[
            "bad configuration option",
            "can't open user config file",
            "bad owner or permissions on",
            "terminating, ",
        ]) {
            return Some(Failure::Configuration);
        }
        // The message about a changed key also has "host key verification failed".
        let of_key = [
            "remote host identification has changed",
            "host key for",
            "revoked",
        ];
        if self.has(&of_key) && self.has(&["has changed", "revoked"]) {
            return Some(Failure::HostKeyChanged(host_key(&self.0)));
        }
        // Two ssh processes print: the ssh to the jump host the reason, the main ssh that its connection was closed.
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

    /// Returns the kind of a failure of git at the other end, or of an ssh failure that `by_ssh` does not know.
    fn by_git(&self, of_ssh: bool) -> Failure {
        if self.has(&["dubious ownership"]) {
            return Failure::NotOwned;
        }
        // A file that ssh does not find is not the server's repository.
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

/// Reads the facts from ssh's warning about a changed host key.
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
