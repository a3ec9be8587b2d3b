//! Submodules: the commits that the app's own trees name, fetched from where the configuration says.

use pp_objects::ObjectId;

use super::fault::{advised, environment_failure};
use super::{Repository, remote_options};
use crate::config::submodule::Submodule;
use crate::deploy::source::SourceError;
use crate::git::fetch::FetchError;
use crate::git::listing::ListedRevision;
use crate::git::{Remote, RemoteError, gitlink};
use crate::worker::{Client, WorkerError};

/// Gets the commits that `revision` wants of its submodules. One that is in the mirror already costs no
/// connection.
pub(super) fn fetch_all(
    repository: &Repository,
    worker: &mut Client,
    revision: ObjectId,
) -> Result<(), SourceError> {
    for submodule in &repository.submodules {
        let path = submodule.path.display();
        let told = |what: String| SourceError::environment(format!("the submodule {path}: {what}"));
        let missing = missing(worker, revision, submodule).map_err(|e| told(e.to_string()))?;
        if let Some(commit) = missing {
            fetch_one(repository, worker, submodule, commit).map_err(told)?;
        }
    }
    Ok(())
}

/// The commit that the trees of `revision` want at the submodule's path; none if they want none, or if the
/// mirror has it.
fn missing(
    worker: &mut Client,
    revision: ObjectId,
    submodule: &Submodule,
) -> Result<Option<ObjectId>, WorkerError> {
    // Outer submodules come first, so what leads to an inner one is in the mirror.
    let wanted = gitlink::commit_at(worker, revision, &submodule.path)?;
    let Some(wanted) = wanted else {
        return Ok(None);
    };
    let pin = submodule.pin();
    match worker.tips_without(wanted, &pin)? {
        None => worker.keep_as(wanted, &pin).map(|_| None),
        Some(_) => Ok(Some(wanted)),
    }
}

fn fetch_one(
    repository: &Repository,
    worker: &mut Client,
    submodule: &Submodule,
    commit: ObjectId,
) -> Result<(), String> {
    let options = remote_options(&submodule.ssh, &submodule.https, &repository.fetch_limits);
    let path = submodule.path.display();
    let wanted = ListedRevision {
        reference: path.to_string(),
        id: commit,
        commit,
    };
    let fetched = Remote::connect(&submodule.repository, &options)
        .map_err(FetchError::from)
        .and_then(|mut remote| remote.fetch(worker, &wanted, &submodule.pin(), &mut |_| {}));
    let Err(error) = fetched else { return Ok(()) };
    let what = match &error {
        FetchError::Remote(remote) => {
            let app = format!("{} --submodule {path}", repository.app);
            advised(remote, &app, &options.ssh)
        }
        FetchError::Worker(worker) => environment_failure(worker),
    };
    let mend = if unknown(&error) {
        "\n  its repository has no such commit: push it there"
    } else {
        ""
    };
    Err(format!("{commit} cannot be fetched: {}{mend}", what.what))
}

/// Whether the server has no such commit. There is no code for that in git's protocol, only a text.
fn unknown(error: &FetchError) -> bool {
    let FetchError::Remote(RemoteError::Server { said, .. }) = error else {
        return false;
    };
    said.contains("not our ref")
}
