//! Implements the pipeline's [`Source`] with git: a remote repository and its mirror.
//!
//! All C code that touches data from outside runs in a process of its own, the worker ([`crate::worker`]); this
//! module asks the worker, and proves its answers.

pub(crate) mod connections;
mod fault;
mod fetched;
mod lineage;
mod listing;
mod ssh_files;
mod submodules;

use std::path::PathBuf;
use std::sync::Once;

use crate::config::settings::{Fetch, Follow};
use crate::config::submodule::Submodule;
use crate::config::tree::TreeRules;
use crate::config::{App, Ssh};
use crate::deploy::code::Code;
use crate::deploy::source::{FollowedRevision, Listing, Source, SourceError};
use crate::git::listing::{ListedRevision, tag_of};
use crate::git::push_access::{PushAccess, push_access};
use crate::git::{
    HttpsOptions, RefSelector, Remote, RemoteError, RemoteOptions, RepositoryUrl, SshOptions,
};
use crate::revision::Revision;
use crate::sanitize::print_error;
use crate::state::PassedOver;
use crate::util::text;
use crate::worker::error::FailureKind;
use crate::worker::{self, Client, WorkerError, mirror};
use fault::{advised, environment_failure};
use listing::RemoteListing;

/// One app's repository.
pub(crate) struct Repository {
    app: String,
    url: RepositoryUrl,
    wanted: RefSelector,
    options: RemoteOptions,
    fetch_limits: Fetch,
    submodules: Vec<Submodule>,
    rules: TreeRules,
    subdirectory: PathBuf,
    mirror: PathBuf,
    worker: PathBuf,
}

impl Repository {
    /// Returns the repository of `app`, mirrored at `mirror`. No connection or file is opened yet.
    #[must_use]
    pub(crate) fn new(app: &App, mirror: PathBuf) -> Self {
        Self {
            app: app.name.clone(),
            url: app.repository.clone(),
            wanted: match &app.follow {
                Follow::Branch(name) => RefSelector::Branch(name.clone()),
                Follow::Tag(pattern) => RefSelector::TagGlob(pattern.clone()),
                Follow::Ref(name) => RefSelector::Ref(name.clone()),
            },
            options: remote_options(&app.ssh, &app.https, &app.fetch),
            fetch_limits: app.fetch.clone(),
            submodules: app.submodules.clone(),
            rules: app.tree.clone(),
            subdirectory: app.deploy.subdirectory.clone(),
            mirror,
            worker: worker::program(),
        }
    }

    /// Replaces the worker's program.
    #[cfg(test)]
    pub(crate) fn with_worker(mut self, program: PathBuf) -> Self {
        self.worker = program;
        self
    }

    /// Replaces git, which serves a repository on this machine.
    #[cfg(test)]
    pub(crate) fn with_git(mut self, program: PathBuf) -> Self {
        self.options.git = program;
        self
    }

    /// Starts a worker that has the mirror open. A damaged mirror is set aside and a new one made; the releases are
    /// not touched.
    fn open(&self) -> Result<Client, WorkerError> {
        mirror::provide(&self.mirror)?;
        let worker = match Client::start(&self.worker, &self.mirror) {
            Err(WorkerError::Refused {
                trouble: FailureKind::Broken,
                why,
                ..
            }) => {
                let aside = mirror::set_aside(&self.mirror)?;
                let aside = aside.display();
                print_error(&format!(
                    "{}: {why}; that was done, the damaged one is {aside}",
                    self.app
                ));
                mirror::provide(&self.mirror)?;
                Client::start(&self.worker, &self.mirror)
            }
            other => other,
        }?;
        say_what_is_lacking(&worker);
        Ok(worker)
    }

    /// Asks the server of each submodule, by its path, whether this host can read from it.
    pub(crate) fn ask_submodules(&self) -> Vec<(String, Result<(), String>)> {
        submodules::ask_all(self)
    }

    /// Finds out whether the key may push to the repository, which is reached by ssh.
    ///
    /// # Errors
    /// A sentence: the server does not answer.
    pub(crate) fn push_access(&self) -> Result<PushAccess, String> {
        push_access(&self.url, &self.options)
    }

    fn advised(&self, error: &RemoteError) -> SourceError {
        advised(error, &self.app, &self.options.ssh)
    }
}

/// Prints, once for each run of pp-fetcher, which parts of the containment the kernel cannot enforce.
fn say_what_is_lacking(worker: &Client) {
    static ONCE: Once = Once::new();
    if let Some(lacking) = worker.lacking() {
        ONCE.call_once(|| print_error(lacking));
    }
}

/// Returns the options for asking a server: `ssh` and `https` as configured, and the limits of `fetch`.
fn remote_options(ssh: &Ssh, https: &HttpsOptions, fetch: &Fetch) -> RemoteOptions {
    let shared = connections::shared();
    RemoteOptions {
        ssh: ssh_options(ssh),
        connections: shared.ssh,
        https_connections: shared.https,
        https: https.clone(),
        deadline: fetch.timeout,
        budget: fetch.limit,
        ..RemoteOptions::default()
    }
}

/// Returns the options for running ssh, from the configuration.
#[must_use]
pub(crate) fn ssh_options(ssh: &Ssh) -> SshOptions {
    SshOptions {
        identity: ssh.identity.clone(),
        known_hosts: ssh.known_hosts.clone(),
        config: ssh.config.clone(),
        agent: ssh.agent.clone(),
        ..SshOptions::default()
    }
}

impl Source for Repository {
    fn poll<'a>(
        &'a self,
        passed_over: &[PassedOver],
    ) -> Result<Box<dyn Listing<'a> + 'a>, SourceError> {
        if matches!(self.url, RepositoryUrl::Ssh { .. }) {
            ssh_files::check(&self.options.ssh).map_err(SourceError::environment)?;
        }
        let begun = Remote::connect_and_list(&self.url, &self.options, &self.wanted);
        let (remote, listed) = begun.map_err(|error| self.advised(&error))?;
        let passed = |found: &ListedRevision| {
            let is = |passed: &PassedOver| {
                passed.tag == tag_of(&found.reference) && passed.id == found.id
            };
            passed_over.iter().any(is)
        };
        let listed_revision = self
            .wanted
            .resolve_without(&listed, &passed)
            .map_err(|why| {
                SourceError::environment(format!("{}: {why}", self.url))
                    .with_code(Code::NothingToFollow)
            })?;
        let is_tag = matches!(self.wanted, RefSelector::TagGlob(_));
        let found = FollowedRevision {
            revision: listed_revision.commit,
            tag: is_tag.then(|| text::line(tag_of(&listed_revision.reference).as_bytes())),
            unordered: self.wanted.unordered(&listed),
        };
        Ok(Box::new(RemoteListing {
            repository: self,
            remote,
            listed: listed_revision,
            found,
        }))
    }

    fn keep(&self, live: &Revision) -> Result<(), SourceError> {
        let kept = self.open().and_then(|mut worker| worker.keep(*live));
        kept.map_err(environment_failure)
    }
}
