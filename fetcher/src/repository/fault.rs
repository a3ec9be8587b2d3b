//! Converts errors of a repository into the pipeline's errors: who is to blame, and what to do.

use super::ssh_files;
use crate::checkout::CheckoutError;
use crate::deploy::code::Code;
use crate::deploy::source::{FollowedRevision, SourceError};
use crate::git::fetch::FetchError;
use crate::git::listing::ListedRevision;
use crate::git::{RemoteError, SshOptions};
use crate::state::PassedOver;
use crate::util::text;
use crate::worker::WorkerError;
use crate::worker::error::FailureKind;

/// Converts an error of a remote, and adds advice: the commands for a host key, or the causes on this host why
/// the server may refuse the key.
pub(super) fn advised(error: &RemoteError, app: &str, ssh: &SshOptions) -> SourceError {
    let advice = match error {
        RemoteError::HostKeyChanged { .. } | RemoteError::HostKeyUnknown { .. } => format!(
            "\n  `pp-fetcher hostkey show {app}` shows what the server offers and what is pinned\n  \
             `pp-fetcher hostkey pin {app} --fingerprint SHA256:…` pins what the forge publishes"
        ),
        RemoteError::Denied { .. } => ssh_files::why_denied(ssh),
        RemoteError::Unreachable { remote, said } => other_way(remote, said),
        _ => String::new(),
    };
    SourceError::environment(format!("{error}{advice}")).with_code(code(error))
}

/// The word for an error of a remote.
fn code(error: &RemoteError) -> Code {
    match error {
        RemoteError::HostKeyChanged { .. } => Code::HostKeyChanged,
        RemoteError::HostKeyUnknown { .. } | RemoteError::JumpKeyUnknown { .. } => {
            Code::HostKeyUnknown
        }
        RemoteError::Denied { .. } => Code::AccessDenied,
        RemoteError::Https { error, .. } if error.is_refusal() => Code::AccessDenied,
        RemoteError::Https { .. }
        | RemoteError::Unresolved { .. }
        | RemoteError::Unreachable { .. }
        | RemoteError::TimedOut { .. } => Code::Network,
        RemoteError::NoRepository { .. } | RemoteError::NotOwned { .. } => Code::NoRepository,
        RemoteError::Server { .. } | RemoteError::Protocol { .. } => Code::Forge,
        RemoteError::Stopped { .. } => Code::Stopped,
        RemoteError::Path(_)
        | RemoteError::Program { .. }
        | RemoteError::SshConfiguration { .. } => Code::Host,
        RemoteError::TooLarge { .. }
        | RemoteError::TooManyRefs { .. }
        | RemoteError::ObjectFormat { .. }
        | RemoteError::Pack { .. } => Code::Fetch,
    }
}

/// Gives another way to a server that cannot be reached. Sources, read in November 2026: GitHub's "Using SSH over the
/// HTTPS port", GitLab's "Use an alternate GitLab.com SSH port", Atlassian's "Use SSH over port 443".
fn other_way(remote: &str, said: &str) -> String {
    const OTHERS: [(&str, &str); 3] = [
        ("github.com", "ssh.github.com"),
        ("gitlab.com", "altssh.gitlab.com"),
        ("bitbucket.org", "altssh.bitbucket.org"),
    ];
    if said.contains("Network is unreachable") || said.contains("No route to host") {
        return "\n  this host has no way there: `ip route` and `ip -6 route` show its ways; github.com has no address of \
                IPv6"
            .to_owned();
    }
    let is = |(host, _): &&(&str, &str)| {
        let after = remote
            .split_once(host)
            .map(|(before, after)| (before.ends_with('@'), after));
        // An address with another port is not that of the closed port.
        after.is_some_and(|(user, after)| user && !after.starts_with(":443"))
    };
    match OTHERS.iter().find(is) {
        Some((_, other)) => format!(
            "\n  where a firewall closes port 22: ssh://git@{other}:443/\u{2026} is the same forge, with the same key"
        ),
        None => String::new(),
    }
}

/// Converts an error of a fetch. A tag of a file or a directory is passed over; another such ref is an error.
pub(super) fn no_commit(
    error: FetchError,
    found: &FollowedRevision,
    listed: &ListedRevision,
) -> SourceError {
    let kind = match error {
        FetchError::Worker(WorkerError::Refused {
            trouble: FailureKind::NoCommit,
            why,
            ..
        }) => why,
        FetchError::Worker(other) => return environment_failure(other),
        FetchError::Remote(other) => return environment_failure(other),
    };
    match &found.tag {
        Some(tag) => SourceError {
            no_commit: Some(PassedOver {
                tag: tag.clone(),
                id: listed.id,
            }),
            ..SourceError::environment(format!(
                "the tag {tag} is passed over: it stands for a {kind}, not for a commit"
            ))
        },
        None => SourceError::environment(format!(
            "{} is a {kind}, and only a commit can be deployed: name another ref",
            text::line(listed.reference.as_bytes())
        )),
    }
}

/// Converts an error of a checkout. A refused tree is the revision's own fault.
pub(super) fn refused_tree(error: CheckoutError) -> SourceError {
    if error.is_refusal() {
        SourceError::revision(error.to_string()).with_code(Code::Tree)
    } else {
        environment_failure(error)
    }
}

/// Converts any other error, such as a crash or a lie of the worker, which may be the host's fault: the revision is
/// tried again, later and later.
pub(super) fn environment_failure(error: impl std::fmt::Display) -> SourceError {
    SourceError::environment(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forge_behind_a_closed_port_is_told_with_its_other_port() {
        let timed_out = "ssh: connect to host x port 22: Connection timed out";
        for (remote, there) in [
            ("git@github.com:me/todo.git", "ssh.github.com:443"),
            ("ssh://git@gitlab.com/me/todo.git", "altssh.gitlab.com:443"),
            ("git@bitbucket.org:me/todo.git", "altssh.bitbucket.org:443"),
        ] {
            assert!(other_way(remote, timed_out).contains(there), "{remote}");
        }
        for remote in [
            "git@github.com.example.org:me",
            "ssh://git@ssh.github.com:443/me",
            "git@forge.example.org:me",
        ] {
            let other = other_way(remote, timed_out);
            assert!(
                remote.contains(".example.org:me") || other.is_empty(),
                "{remote}: {other}"
            );
        }
        let no_way = other_way(
            "git@github.com:me",
            "ssh: connect to host x: Network is unreachable",
        );
        assert!(no_way.contains("ip -6 route"), "{no_way}");
    }
}
