//! What goes wrong with a repository, as the pipeline hears of it: whose fault it is, and what to do.

use super::ssh_files;
use crate::deploy::source::{Found, SourceError};
use crate::git::{RemoteError, SshOptions};
use crate::proof::written;
use crate::state::PassedOver;
use crate::worker::WorkerError;

/// What is to be done about a host key is done by a command of ours; why a key is refused can be
/// told by looking at it.
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

/// A tag that stands for a file or a directory is passed over; anything else that does is an error.
pub(super) fn no_commit(
    error: WorkerError,
    wanted: &Found,
    reference: &str,
    id: String,
) -> SourceError {
    let WorkerError::NoCommit(kind) = error else {
        return blamed(error);
    };
    match &wanted.tag {
        Some(tag) => SourceError {
            no_commit: Some(PassedOver {
                tag: tag.clone(),
                id,
            }),
            ..SourceError::environment(format!(
                "the tag {tag} is passed over: it stands for a {kind}, not for a commit"
            ))
        },
        None => SourceError::environment(format!(
            "{reference} is a {kind}, and only a commit can be deployed: name another ref"
        )),
    }
}

/// What the parent has found in the trees by itself: the same refusals as the worker's.
pub(super) fn refused(differs: written::Differs) -> WorkerError {
    WorkerError::Tree(format!(
        "the tree is refused because of {}: {}",
        differs.path, differs.how
    ))
}

/// A tree that is refused is the revision's own fault. That the worker crashed, or lied, may be the
/// host's: it is tried again, later and later.
pub(super) fn blamed(error: WorkerError) -> SourceError {
    match error {
        WorkerError::Tree(what) => SourceError::revision(what),
        other => environment_failure(other),
    }
}

pub(super) fn environment_failure(error: impl std::fmt::Display) -> SourceError {
    SourceError::environment(error.to_string())
}
