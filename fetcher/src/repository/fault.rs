//! Converts errors of a repository into the pipeline's errors: who is to blame, and what to do.

use super::ssh_files;
use crate::checkout::CheckoutError;
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
        _ => String::new(),
    };
    SourceError::environment(format!("{error}{advice}"))
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
        SourceError::revision(error.to_string())
    } else {
        environment_failure(error)
    }
}

/// Converts any other error, such as a crash or a lie of the worker, which may be the host's fault: the revision is
/// tried again, later and later.
pub(super) fn environment_failure(error: impl std::fmt::Display) -> SourceError {
    SourceError::environment(error.to_string())
}
