//! Git behind the pipeline's [`Source`]: a remote repository and our mirror of it.
//!
//! Whatever touches foreign data in C runs in a process of its own ([`crate::worker`]); here is what
//! asks it, and proves what it says.

mod attributes;
mod fault;
mod ssh_files;
mod submodules;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use crate::checkout::Budget;
use crate::config::App;
use crate::config::fragment::Ssh;
use crate::config::settings::{Fetch, Follow};
use crate::config::submodule::Submodule;
use crate::config::tree::TreeRules;
use crate::deploy::source::{Commit, Found, Source, SourceError};
use crate::deploy::{FailureClass, Progress};
use crate::git::fetch::LAST;
use crate::git::listing::tag_of;
use crate::git::{
    HttpsOptions, Mirror, Oid, Remote, RemoteError, RemoteOptions, RepositoryUrl, SshOptions,
    Wanted, listing, skeleton, text,
};
use crate::proof::{self, Id, Kind, descent, written};
use crate::revision::Revision;
use crate::shown::complain;
use crate::space::{self, Need};
use crate::state::PassedOver;
use crate::verify::{self, Keygen, SignedObject};
use crate::worker::serve::Role;
use crate::worker::{Client, OURSELVES, WorkerError};
use fault::{advised, blamed, environment_failure, no_commit, refused};

/// Most tags that stand for tags.
const MOST_TAGS: usize = 16;

/// One app's repository.
pub struct Repository {
    app: String,
    url: RepositoryUrl,
    wanted: Wanted,
    options: RemoteOptions,
    fetch_limits: Fetch,
    submodules: Vec<Submodule>,
    rules: TreeRules,
    path: PathBuf,
    program: PathBuf,
    /// The worker that has the mirror open, from the fetch to the checkout.
    worker: Option<Client>,
    /// The conversation that the listing came from: a fetch goes on with it.
    polled: Option<(Remote, listing::Revision)>,
    /// What the last fetch has brought.
    fetched: Option<Fetched>,
}

/// What a fetch has brought, proven by the names in the listing.
struct Fetched {
    found: listing::Revision,
    /// The tag object it was found as, if it was one.
    tag: Option<Vec<u8>>,
    commit: Vec<u8>,
}

impl Repository {
    /// The repository of `app`, mirrored at `mirror`. Nothing is opened yet.
    #[must_use]
    pub fn new(app: &App, mirror: PathBuf) -> Self {
        Self {
            app: app.name.clone(),
            url: app.repository.clone(),
            wanted: match &app.follow {
                Follow::Branch(name) => Wanted::Branch(name.clone()),
                Follow::Tag(pattern) => Wanted::TagGlob(pattern.clone()),
                Follow::Ref(name) => Wanted::Ref(name.clone()),
            },
            options: remote_options(&app.ssh, &app.https, &app.fetch),
            fetch_limits: app.fetch.clone(),
            submodules: app.submodules.clone(),
            rules: app.tree.clone(),
            path: mirror,
            program: OURSELVES.into(),
            worker: None,
            polled: None,
            fetched: None,
        }
    }

    /// With another program as the worker than this one: for tests, which are another one.
    #[must_use]
    pub fn with_worker(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// The worker that has the mirror open, started if need be; a damaged mirror is set aside and begun
    /// again, the releases are not touched. One that has failed is not asked again.
    fn asked<T>(
        &mut self,
        ask: impl FnOnce(&mut Client) -> Result<T, WorkerError>,
    ) -> Result<T, WorkerError> {
        let mut worker = match self.worker.take() {
            Some(worker) => worker,
            None => self.open()?,
        };
        let answer = ask(&mut worker)?;
        self.worker = Some(worker);
        Ok(answer)
    }

    fn open(&self) -> Result<Client, WorkerError> {
        let failed =
            |error: crate::git::mirror::MirrorError| WorkerError::Failed(error.to_string());
        let role = Role::Mirror(self.path.clone());
        skeleton::provide(&self.path).map_err(failed)?;
        let worker = match Client::start(&self.program, &role) {
            Err(WorkerError::Broken(why)) => {
                let aside = Mirror::set_aside(&self.path).map_err(failed)?;
                let aside = aside.display();
                complain(&format!(
                    "{}: {why}; that was done, the damaged one is {aside}",
                    self.app
                ));
                skeleton::provide(&self.path).map_err(failed)?;
                Client::start(&self.program, &role)
            }
            other => other,
        }?;
        told(&worker);
        Ok(worker)
    }

    fn advised(&self, error: &RemoteError) -> SourceError {
        advised(error, &self.app, &self.options.ssh)
    }

    /// Fetches, and proves what came by the names that the listing gave.
    fn receive(
        &mut self,
        mut remote: Remote,
        found: listing::Revision,
        tick: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Fetched, WorkerError> {
        self.asked(|worker| {
            remote.fetch_into(worker, &found, LAST, &mut |now| {
                tick(Progress::Fetch {
                    bytes: now.bytes,
                    objects: now.indexed as u64,
                    of: now.total as u64,
                });
            })?;
            let elsewhere = || {
                WorkerError::Failed(format!(
                    "the tag {} does not point at the commit that was listed",
                    text::line(found.reference.as_bytes())
                ))
            };
            let (mut at, mut outermost) = (id(found.id)?, None);
            for _ in 0..MOST_TAGS {
                if at == id(found.commit)? {
                    break;
                }
                let tag = worker.object(at, Kind::Tag)?;
                at = proof::commit::tag(&tag).ok_or_else(elsewhere)?.target;
                outermost.get_or_insert(tag);
            }
            if at != id(found.commit)? {
                return Err(elsewhere());
            }
            Ok(Fetched {
                commit: worker.object(at, Kind::Commit)?,
                tag: outermost,
                found,
            })
        })
    }

    /// Has the files written, and compares them with what the commit names when nobody writes any more.
    fn write(
        &mut self,
        revision: Id,
        live: Option<&Path>,
        into: &Path,
        tick: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(), WorkerError> {
        // Whoever unpacked the pack is not to see the release.
        self.worker = None;
        let role = Role::CheckOut {
            mirror: self.path.clone(),
            into: into.to_owned(),
            live: live.map(Path::to_owned),
        };
        let mut worker = Client::start(&self.program, &role)?;
        let submodules: BTreeSet<_> = self.submodules.iter().map(|s| s.path.clone()).collect();
        let wanted = written::Wanted {
            submodules: &submodules,
            rules: &self.rules,
            most: Budget::default().entries,
        };
        let get = &mut |id, kind| worker.object(id, kind);
        let tree = written::gather(revision, &wanted, get, refused)?;
        attributes::check(&tree, &self.rules, &mut |id| worker.object(id, Kind::Blob))?;
        worker.check_out(revision, &submodules, &self.rules, &mut |now| {
            tick(Progress::Checkout {
                files: now.done,
                of: now.of,
            });
        })?;
        worker.end();
        written::check(into, &tree, &self.rules).map_err(WorkerError::Differs)
    }
}

/// Says once what the kernel cannot enforce.
fn told(worker: &Client) {
    static ONCE: Once = Once::new();
    if let Some(lacking) = worker.lacking() {
        ONCE.call_once(|| complain(lacking));
    }
}

/// How a server is asked as `ssh` and `https` say, at the cost that `fetch` allows.
fn remote_options(ssh: &Ssh, https: &HttpsOptions, fetch: &Fetch) -> RemoteOptions {
    RemoteOptions {
        ssh: ssh_options(ssh),
        https: https.clone(),
        deadline: fetch.timeout,
        budget: fetch.limit,
        ..RemoteOptions::default()
    }
}

/// How ssh is run as `ssh` says.
#[must_use]
pub fn ssh_options(ssh: &Ssh) -> SshOptions {
    SshOptions {
        identity: ssh.identity.clone(),
        known_hosts: ssh.known_hosts.clone(),
        config: ssh.config.clone(),
        agent: ssh.agent.clone(),
        ..SshOptions::default()
    }
}

impl Source for Repository {
    fn poll(&mut self, passed_over: &[PassedOver]) -> Result<Found, SourceError> {
        if matches!(self.url, RepositoryUrl::Ssh { .. }) {
            ssh_files::check(&self.options.ssh).map_err(SourceError::environment)?;
        }
        let remote = Remote::connect(&self.url, &self.options);
        let mut remote = remote.map_err(|error| self.advised(&error))?;
        let listed = remote.list(&self.wanted).map_err(environment_failure)?;
        let passed = |found: &listing::Revision| {
            let is = |passed: &PassedOver| {
                passed.tag == tag_of(&found.reference) && passed.id == found.id.to_string()
            };
            passed_over.iter().any(is)
        };
        let found = self
            .wanted
            .resolve_without(&listed, &passed)
            .map_err(|why| SourceError::environment(format!("{}: {why}", self.url)))?;
        let is_tag = matches!(self.wanted, Wanted::TagGlob(_));
        let told = Found {
            revision: revision(found.commit)?,
            tag: is_tag.then(|| text::line(tag_of(&found.reference).as_bytes())),
            unordered: self.wanted.unordered(&listed),
        };
        self.polled = Some((remote, found));
        Ok(told)
    }

    fn fetch(
        &mut self,
        wanted: &Found,
        tick: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Commit, SourceError> {
        let (remote, found) = self.polled.take().ok_or_else(|| {
            SourceError::environment("a fetch without a poll before it: please report this")
        })?;
        if found.commit.to_string() != wanted.revision.as_str() {
            let what = "a fetch of something else than was listed: please report this";
            return Err(SourceError::environment(what));
        }
        // How large the pack is, nobody says beforehand; without the reserve it is not begun.
        let disk = self.path.parent().unwrap_or(Path::new("."));
        space::check(disk, Need::default()).map_err(environment_failure)?;
        let (reference, id) = (text::line(found.reference.as_bytes()), found.id.to_string());
        let fetched = self.receive(remote, found, tick);
        let fetched = fetched.map_err(|error| no_commit(error, wanted, &reference, id))?;
        self.fetch_submodules(fetched.found.commit)?;
        let commit = read(&fetched.commit).map_err(blamed)?;
        let info = Commit {
            author: text::line(commit.author),
            subject: text::line(commit.subject),
        };
        self.fetched = Some(fetched);
        Ok(info)
    }

    fn descends(&mut self, from: &Revision, to: &Revision) -> Result<bool, SourceError> {
        let (from, to) = (named(from)?, named(to)?);
        let shown = self.asked(|worker| {
            let chain = worker.chain(from, to)?;
            let shown =
                descent::shown(from, to, &chain, &mut |id| worker.object(id, Kind::Commit))?;
            Ok(shown)
        });
        shown.map_err(blamed)
    }

    fn signer(
        &mut self,
        revision: &Revision,
        allowed_signers: &Path,
    ) -> Result<String, SourceError> {
        // Which tag stood for the commit is known from the listing only.
        let followed = self.fetched.as_ref();
        let followed = followed.filter(|f| f.found.commit.to_string() == revision.as_str());
        let Some(Fetched { found, tag, commit }) = followed else {
            let what = "a signature without a fetch before it: please report this";
            return Err(SourceError::environment(what));
        };
        let signer = SignedObject::of(found, tag.as_deref(), commit)
            .and_then(|object| verify::check(&object, allowed_signers, &Keygen::default()));
        let signer = signer.map_err(|error| match error.class() {
            FailureClass::Revision => SourceError::revision(error.to_string()),
            FailureClass::Environment => SourceError::environment(error.to_string()),
        })?;
        Ok(signer.to_string())
    }

    fn check_out(
        &mut self,
        revision: &Revision,
        live: Option<&Path>,
        into: &Path,
        tick: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(), SourceError> {
        let revision = named(revision)?;
        fs::create_dir(into).map_err(|e| {
            SourceError::environment(format!("{}: {e}{}", into.display(), space::advice(&e)))
        })?;
        self.write(revision, live, into, tick).map_err(|error| {
            // The worker may not remove the directory itself; a leftover would be swept with the
            // other `.new-…`.
            let _ = fs::remove_dir_all(into);
            blamed(error)
        })
    }

    fn keep(&mut self, live: &Revision) -> Result<(), SourceError> {
        let live = named(live)?;
        let kept = self.asked(|worker| worker.keep(live));
        self.worker = None;
        kept.map_err(blamed)
    }
}

fn read(commit: &[u8]) -> Result<proof::commit::Commit<'_>, WorkerError> {
    let none = || WorkerError::Failed("the commit is not one as git writes them".to_owned());
    proof::commit::commit(commit).ok_or_else(none)
}

fn id(oid: Oid) -> Result<Id, WorkerError> {
    let none = || WorkerError::Failed("the name of an object is of another length".to_owned());
    Id::from_bytes(oid.as_bytes()).ok_or_else(none)
}

fn named(revision: &Revision) -> Result<Id, SourceError> {
    Id::parse(revision.as_str().as_bytes())
        .ok_or_else(|| SourceError::environment("a revision is 40 hexadecimal digits"))
}

fn revision(id: Oid) -> Result<Revision, SourceError> {
    Revision::parse(&id.to_string()).map_err(SourceError::environment)
}
