//! The parts of git as the program puts them together: the real worker behind the client, the real server.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use pp_objects::protocol::Progress;
use pp_objects::{Kind, ObjectId};

use super::git_support::https::Server;
use super::git_support::sshd::Sshd;
use super::git_support::{Forge, built_worker, script};
use crate::checkout::{self, Budget, CheckedOut, CheckoutError};
use crate::config::App;
use crate::deploy::source::{Source, SourceError};
use crate::git::fetch::{FetchError, Fetched, LAST};
use crate::git::https::HttpsError;
use crate::git::listing::{ListedRefs, ListedRevision, Unresolved};
use crate::git::{RefSelector, Remote, RemoteError, RemoteOptions, RepositoryUrl, descent};
use crate::repository::Repository;
use crate::state::{Attempt, EndedAttempt};
use crate::worker::error::FailureKind;
use crate::worker::{Chain, Client, Objects, WorkerError, mirror};

/// A mirror, opened by a worker of its own for each question.
pub struct Mirror(PathBuf);

impl Mirror {
    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn open(&self) -> Result<Client, WorkerError> {
        mirror::provide(&self.0)?;
        Client::start(&built_worker(), &self.0)
    }

    pub fn object(&self, id: ObjectId, kind: Kind) -> Vec<u8> {
        self.open().unwrap().object(id, kind).unwrap()
    }

    pub fn contains(&self, id: ObjectId) -> bool {
        let tips = self.open().unwrap().tips_without(id, LAST).unwrap();
        tips.is_none()
    }

    /// Whether going from `old` to `new` is a fast-forward, proven.
    pub fn is_ancestor(&self, old: ObjectId, new: ObjectId) -> bool {
        let mut worker = self.open().unwrap();
        let Chain::Told(chain) = worker.chain(old, new).unwrap() else {
            return false;
        };
        let get = &mut |ids: &[ObjectId]| worker.read(Kind::Commit, ids);
        descent::is_shown(old, new, &chain, get).unwrap()
    }

    pub fn keep(&self, live: ObjectId) -> Result<(), WorkerError> {
        self.open()?.keep(live)
    }
}

/// Gets a revision into the mirror.
pub fn fetch(
    remote: &mut Remote,
    mirror: &Mirror,
    revision: &ListedRevision,
    tick: &mut dyn FnMut(Progress),
) -> Result<Fetched, FetchError> {
    let mut worker = mirror.open()?;
    remote.fetch(&mut worker, revision, LAST, tick)
}

/// Writes the files of a commit as a deploy does.
pub fn check_out(
    mirror: &Mirror,
    commit: ObjectId,
    live: Option<&Path>,
    into: &Path,
    budget: &Budget,
) -> Result<CheckedOut, CheckoutError> {
    check_out_telling(mirror, commit, live, into, budget, &mut |_| {})
}

pub fn check_out_telling(
    mirror: &Mirror,
    commit: ObjectId,
    live: Option<&Path>,
    into: &Path,
    budget: &Budget,
    tick: &mut (dyn FnMut(checkout::Progress) + Send),
) -> Result<CheckedOut, CheckoutError> {
    let mut worker = mirror.open()?;
    checkout::check_out(&mut worker, (commit, None), live, into, budget, tick)
}

impl RefSelector {
    /// The revision meant, where no tag is passed over.
    pub fn resolve(&self, listed: &ListedRefs) -> Result<ListedRevision, Unresolved> {
        self.resolve_without(listed, &|_| false)
    }
}

impl Forge {
    pub fn url(&self) -> RepositoryUrl {
        RepositoryUrl::File { path: self.repo() }
    }

    pub fn mirror(&self) -> Mirror {
        let mirror = Mirror(self.mirror_path());
        mirror.open().unwrap();
        mirror
    }
}

impl Sshd {
    /// As an app file has it: alias, identity, pinned keys.
    pub fn options(&self) -> RemoteOptions {
        let mut options = RemoteOptions {
            deadline: std::time::Duration::from_secs(20),
            ..RemoteOptions::default()
        };
        options.ssh.identity = Some(self.at("user"));
        options.ssh.known_hosts = Some(self.at("known_hosts"));
        options.ssh.config = Some(self.at("ssh_config"));
        options
    }

    pub fn url(&self, repository: &Path) -> RepositoryUrl {
        format!("forge:{}", repository.display()).parse().unwrap()
    }
}

impl Server {
    /// As an app file has it: the authority that has signed the server's certificate.
    pub fn options(&self) -> RemoteOptions {
        let mut options = RemoteOptions {
            deadline: std::time::Duration::from_secs(30),
            ..RemoteOptions::default()
        };
        options.https.ca_file = self.dir.path().join("ca.pem");
        options
    }
}

/// Options whose ssh is a script with this body.
pub fn fake_ssh(dir: &Path, body: &str) -> RemoteOptions {
    let program = dir.join("ssh");
    script(&program, body);
    let mut options = RemoteOptions::default();
    options.ssh.program = program;
    options
}

/// The repository of an app that has this text as its file, mirrored at `mirror`.
pub fn repository(text: &str, mirror: PathBuf) -> Repository {
    let fragment = toml::from_str(text).unwrap();
    let app = App::new("todo", Path::new("todo.toml"), fragment).unwrap();
    repository_of(&app, mirror)
}

pub fn repository_of(app: &App, mirror: PathBuf) -> Repository {
    Repository::new(app, mirror).with_worker(built_worker())
}

/// A poll, a fetch and a checkout.
pub fn deploy(repository: &Repository, into: &Path) -> Result<(), SourceError> {
    let listing = repository.poll(&[])?;
    let mut candidate = listing.fetch(&mut |_| {})?;
    candidate.check_out(None, into, &mut |_| {})
}

/// The kind of an error, for what is asserted.
impl RemoteError {
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Https { error, .. } => error.reason(),
            Self::Path(_) | Self::SshConfiguration { .. } => "configuration",
            Self::Program { .. } => "program-missing",
            Self::HostKeyChanged { .. } => "host-key-changed",
            Self::HostKeyUnknown { .. } | Self::JumpKeyUnknown { .. } => "host-key-unknown",
            Self::Denied { .. } => "permission-denied",
            Self::Unresolved { .. } => "name-not-resolved",
            Self::Unreachable { .. } => "unreachable",
            Self::NoRepository { .. } => "no-repository",
            Self::NotOwned { .. } => "not-owned",
            Self::Stopped { .. } => "stopped",
            Self::TimedOut { .. } => "timed-out",
            Self::TooLarge { .. } | Self::TooManyRefs { .. } => "too-large",
            Self::ObjectFormat { .. } => "object-format",
            Self::Server { .. } => "server-error",
            Self::Protocol { .. } => "protocol",
            Self::Pack { .. } => "bad-pack",
        }
    }
}

impl HttpsError {
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Token(_) | Self::Roots { .. } => "configuration",
            Self::Unresolved { .. } => "name-not-resolved",
            Self::Unreachable { .. } => "unreachable",
            Self::Proxy { .. } => "proxy",
            Self::UnknownAuthority { .. } | Self::Certificate { .. } => "certificate",
            Self::Tls { .. } => "tls",
            Self::Denied { .. } => "permission-denied",
            Self::NoRepository { .. } => "no-repository",
            Self::Redirected { .. } => "redirected",
            Self::Status { .. } => "server-error",
            Self::NotGit { .. } | Self::NotHttp { .. } => "protocol",
        }
    }
}

impl FetchError {
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Remote(error) => error.reason(),
            Self::Worker(WorkerError::Refused {
                trouble: FailureKind::NoCommit,
                ..
            }) => "no-commit",
            Self::Worker(_) => "mirror",
        }
    }
}

impl CheckoutError {
    pub fn is_disk_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            Self::NoRoom(_) => true,
            Self::Io { source, .. } => matches!(source.kind(), StorageFull | QuotaExceeded),
            _ => false,
        }
    }
}

impl Deref for EndedAttempt {
    type Target = Attempt;

    fn deref(&self) -> &Attempt {
        &self.attempt
    }
}
