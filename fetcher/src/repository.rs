//! Git behind the pipeline's [`Source`]: a remote repository and our mirror of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use git2::Oid;

use crate::checkout::{self, Budget, CheckoutError};
use crate::config::App;
use crate::config::settings::Follow;
use crate::deploy::Progress;
use crate::deploy::source::{Commit, Source, SourceError};
use crate::git::mirror::MirrorError;
use crate::git::{
    Mirror, Remote, RemoteError, RemoteOptions, RepositoryUrl, SshOptions, Wanted, listing, repack,
};
use crate::revision::Revision;
use crate::space::{self, Need};
use crate::verify::{self, Keygen, SignedObject};

/// One app's repository.
pub struct Repository {
    app: String,
    url: RepositoryUrl,
    wanted: Wanted,
    options: RemoteOptions,
    path: PathBuf,
    mirror: Option<Mirror>,
    /// The conversation that the listing came from: a fetch goes on with it.
    polled: Option<(Remote, listing::Revision)>,
    /// What the last fetch has brought: the ref and the object it pointed to.
    fetched: Option<listing::Revision>,
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
            options: RemoteOptions {
                ssh: ssh_options(app),
                ..RemoteOptions::default()
            },
            path: mirror,
            mirror: None,
            polled: None,
            fetched: None,
        }
    }

    /// The mirror; a damaged one is set aside and begun again, the releases are not touched.
    fn mirror(&mut self) -> Result<&Mirror, SourceError> {
        let mirror = match self.mirror.take() {
            Some(mirror) => mirror,
            None => open(&self.path).map_err(surroundings)?,
        };
        Ok(self.mirror.insert(mirror))
    }
}

/// How ssh is run for `app`.
#[must_use]
pub fn ssh_options(app: &App) -> SshOptions {
    SshOptions {
        identity: app.ssh.identity.clone(),
        known_hosts: app.ssh.known_hosts.clone(),
        config: app.ssh.config.clone(),
        agent: app.ssh.agent.clone(),
        ..SshOptions::default()
    }
}

/// What is to be done about a host key is done by a command of ours.
fn advised(error: &RemoteError, app: &str) -> SourceError {
    let advice = match error {
        RemoteError::HostKeyChanged { .. } | RemoteError::HostKeyUnknown { .. } => format!(
            "\n  `pp-fetcher hostkey show {app}` shows what the server offers and what is pinned\n  \
             `pp-fetcher hostkey pin {app} --fingerprint SHA256:…` pins what the forge publishes"
        ),
        _ => String::new(),
    };
    SourceError::surroundings(format!("{error}{advice}"))
}

fn open(path: &Path) -> Result<Mirror, MirrorError> {
    match Mirror::open_or_create(path) {
        Err(MirrorError::Broken { .. }) => {
            Mirror::set_aside(path)?;
            Mirror::open_or_create(path)
        }
        other => other,
    }
}

impl Source for Repository {
    fn poll(&mut self) -> Result<Revision, SourceError> {
        let remote = Remote::connect(&self.url, &self.options);
        let mut remote = remote.map_err(|error| advised(&error, &self.app))?;
        let listed = remote.list(&self.wanted).map_err(surroundings)?;
        let found = self
            .wanted
            .resolve(&listed)
            .map_err(|why| SourceError::surroundings(format!("{}: {why}", self.url)))?;
        let revision = revision(found.commit)?;
        self.polled = Some((remote, found));
        Ok(revision)
    }

    fn fetch(
        &mut self,
        wanted: &Revision,
        tick: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Commit, SourceError> {
        let (mut remote, found) = self.polled.take().ok_or_else(|| {
            SourceError::surroundings("a fetch without a poll before it: please report this")
        })?;
        let mirror = self.mirror()?;
        // How large the pack is, nobody says beforehand; without the reserve it is not begun.
        space::check(mirror.path(), Need::default()).map_err(surroundings)?;
        let fetched = remote
            .fetch(mirror, &found, &mut |now| {
                tick(Progress::Fetch {
                    bytes: now.bytes,
                    objects: now.indexed as u64,
                    of: now.total as u64,
                });
            })
            .map_err(surroundings)?;
        if fetched.commit.to_string() != wanted.as_str() {
            return Err(SourceError::surroundings(format!(
                "the tag {} does not point at the commit that was listed",
                found.reference
            )));
        }
        let info = mirror.commit_info(fetched.commit).map_err(surroundings)?;
        self.fetched = Some(found);
        Ok(Commit {
            author: info.author,
            subject: info.subject,
        })
    }

    fn descends(&mut self, from: &Revision, to: &Revision) -> Result<bool, SourceError> {
        let (from, to) = (id(from)?, id(to)?);
        let mirror = self.mirror()?;
        // A new history does not bring the old one along.
        Ok(mirror.contains(from) && mirror.is_ancestor(from, to).map_err(surroundings)?)
    }

    fn signer(
        &mut self,
        revision: &Revision,
        allowed_signers: &Path,
    ) -> Result<String, SourceError> {
        let id = id(revision)?;
        // Which tag stood for the commit is known from the listing only.
        let followed = self.fetched.clone().filter(|found| found.commit == id);
        let followed = followed.ok_or_else(|| {
            SourceError::surroundings("a signature without a fetch before it: please report this")
        })?;
        let mirror = self.mirror()?;
        let signer = SignedObject::of(mirror, &followed)
            .and_then(|object| verify::check(&object, allowed_signers, &Keygen::default()));
        let signer = signer.map_err(|error| SourceError {
            blame: error.blame(),
            what: error.to_string(),
        })?;
        Ok(signer.to_string())
    }

    fn check_out(
        &mut self,
        revision: &Revision,
        into: &Path,
        tick: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(), SourceError> {
        let id = id(revision)?;
        fs::create_dir(into).map_err(|e| {
            SourceError::surroundings(format!("{}: {e}{}", into.display(), space::advice(&e)))
        })?;
        let mirror = self.mirror()?;
        // Several threads write, one listener hears.
        let tick = Mutex::new(tick);
        let progress = |now: checkout::Progress| {
            let mut tick = tick.lock().unwrap_or_else(PoisonError::into_inner);
            tick(Progress::Checkout {
                files: now.files,
                of: now.of,
            });
        };
        match checkout::check_out(mirror, id, into, &Budget::default(), &progress) {
            Ok(_) => Ok(()),
            Err(error @ CheckoutError::Refused { .. }) => {
                Err(SourceError::revision(error.to_string()))
            }
            Err(error) => Err(surroundings(error)),
        }
    }

    fn keep(&mut self, live: &Revision) -> Result<(), SourceError> {
        self.mirror()?
            .pin("live", id(live)?)
            .map_err(surroundings)?;
        if let Some(mirror) = self.mirror.take() {
            self.mirror = Some(mirror.repack(repack::MANY).map_err(surroundings)?);
        }
        Ok(())
    }
}

fn id(revision: &Revision) -> Result<Oid, SourceError> {
    Oid::from_str(revision.as_str()).map_err(surroundings)
}

fn revision(id: Oid) -> Result<Revision, SourceError> {
    Revision::parse(&id.to_string()).map_err(SourceError::surroundings)
}

fn surroundings(error: impl std::fmt::Display) -> SourceError {
    SourceError::surroundings(error.to_string())
}
