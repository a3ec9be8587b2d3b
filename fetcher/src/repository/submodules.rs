//! Submodules: the commits that the app's own trees name, fetched from where the configuration says.

use std::path::Path;

use super::fault::advised;
use super::{Repository, id, remote_options};
use crate::config::submodule::Submodule;
use crate::deploy::source::SourceError;
use crate::git::fetch::Store;
use crate::git::{Oid, Remote, RemoteError, listing};
use crate::proof::{Id, gitlink};
use crate::worker::WorkerError;

impl Repository {
    /// Gets the commits that `revision` wants of its submodules. One that is here already costs no
    /// connection.
    pub(super) fn fetch_submodules(&mut self, revision: Oid) -> Result<(), SourceError> {
        let submodules = self.submodules.clone();
        for submodule in &submodules {
            self.fetch_submodule(revision, submodule)?;
        }
        Ok(())
    }

    fn fetch_submodule(&mut self, revision: Oid, submodule: &Submodule) -> Result<(), SourceError> {
        let path = submodule.path.display();
        let told = |what: String| SourceError::environment(format!("the submodule {path}: {what}"));
        let pin = submodule.pin();
        let lacking = self.asked(|worker| {
            let get = &mut |id, kind| worker.object(id, kind);
            // Outer ones come first, so what leads to an inner one is here.
            let wanted = gitlink::at(id(revision)?, &submodule.path, get, no_tree)?;
            let Some(wanted) = wanted.map(oid).transpose()? else {
                return Ok(None);
            };
            match worker.haves(wanted, &pin)? {
                None => worker.keep_as(wanted, &pin).map(|_| None),
                Some(_) => Ok(Some(wanted)),
            }
        });
        let Some(commit) = lacking.map_err(|e| told(e.to_string()))? else {
            return Ok(());
        };
        let options = remote_options(&submodule.ssh, &submodule.https, &self.fetch_limits);
        let wanted = listing::Revision {
            reference: submodule.path.display().to_string(),
            id: commit,
            commit,
        };
        let fetched = Remote::connect(&submodule.repository, &options)
            .map_err(WorkerError::from)
            .and_then(|mut remote| {
                self.asked(|worker| remote.fetch_into(worker, &wanted, &pin, &mut |_| {}))
            });
        fetched.map(|_| ()).map_err(|error| {
            let what = match &error {
                WorkerError::Remote(remote) => {
                    advised(
                        remote,
                        &format!("{} --submodule {path}", self.app),
                        &options.ssh,
                    )
                    .what
                }
                other => other.to_string(),
            };
            let mend = if unknown(&error) {
                "\n  its repository has no such commit: push it there"
            } else {
                ""
            };
            told(format!("{commit} cannot be fetched: {what}{mend}"))
        })
    }
}

/// Whether the server has no such commit. There is no code for that in git's protocol, only a text.
fn unknown(error: &WorkerError) -> bool {
    let WorkerError::Remote(RemoteError::Server { said, .. }) = error else {
        return false;
    };
    said.contains("not our ref")
}

fn oid(id: Id) -> Result<Oid, WorkerError> {
    Oid::from_bytes(id.as_bytes()).map_err(|error| WorkerError::Failed(error.to_string()))
}

fn no_tree(path: &Path) -> WorkerError {
    WorkerError::Failed(format!("{} is no tree as git writes them", path.display()))
}
