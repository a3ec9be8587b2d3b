//! Fetches submodules: the commits that the app's own trees name, from the repositories that the configuration names.

use pp_objects::ObjectId;

use super::fault::{advised, environment_failure};
use super::{Repository, remote_options};
use crate::config::submodule::Submodule;
use crate::deploy::source::SourceError;
use crate::git::fetch::FetchError;
use crate::git::listing::ListedRevision;
use crate::git::{Remote, RemoteError, gitlink};
use crate::worker::{Client, WorkerError};

/// Fetches the commits that `revision` names for its submodules. A commit that is in the mirror already takes no
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

/// Returns the commit that the trees of `revision` name at the submodule's path; `None` if they name none, or if
/// the commit is in the mirror.
fn missing(
    worker: &mut Client,
    revision: ObjectId,
    submodule: &Submodule,
) -> Result<Option<ObjectId>, WorkerError> {
    // Outer submodules come first, so the trees on the way to an inner submodule are in the mirror.
    let wanted = gitlink::commit_at(worker, revision, &submodule.path)?;
    let Some(wanted) = wanted else {
        return Ok(None);
    };
    let pin = submodule.pin();
    match worker.tips_without(wanted, &pin)? {
        None => worker.pin_fetched(wanted, &pin).map(|_| None),
        Some(_) => Ok(Some(wanted)),
    }
}

/// Asks the server of each submodule whether this host can read from it.
pub(super) fn ask_all(repository: &Repository) -> Vec<(String, Result<(), String>)> {
    let ask = |submodule: &Submodule| {
        let options = remote_options(&submodule.ssh, &submodule.https, &repository.fetch_limits);
        let path = submodule.path.display().to_string();
        let app = format!("{} --submodule {path}", repository.app);
        let asked = Remote::connect(&submodule.repository, &options);
        let asked = asked.map_err(|error| advised(&error, &app, &options.ssh).what);
        (path, asked.map(drop))
    };
    repository.submodules.iter().map(ask).collect()
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

/// Returns whether the server has no such commit. git's protocol has no code for that, only a text.
fn unknown(error: &FetchError) -> bool {
    let FetchError::Remote(RemoteError::Server { said, .. }) = error else {
        return false;
    };
    said.contains("not our ref")
}
