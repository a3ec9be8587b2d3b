//! A host that is not there: releases in a temporary directory, everything else in memory.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::checks::{self, Checks, CommitChecks};
use crate::config::App;
use crate::deploy::dry_run::{DryRun, predict};
use crate::deploy::restart::Restarter;
use crate::deploy::rollback::{NoWayBack, choose};
use crate::deploy::source::{
    Candidate, Commit, FollowedRevision, Lineage, Listing, Source, SourceError,
};
use crate::deploy::{
    Deployment, Progress, Reporter, Step, StepRecorder, Trigger, Verdict, pipeline,
};
use crate::health::holder::ForeignHolder;
use crate::health::http::Question;
use crate::health::unit::{UnitDefinition, UnitSeen};
use crate::health::{self, HealthUrl, Host};
use crate::release::Layout;
use crate::revision::Revision;
use crate::state::{EndedAttempt, LockAttempt, PassedOver, Release, State, StateDir};
use jiff::Timestamp;
use pp_protocol::{ActiveState, Answer, ClientError, Grant, JobResult, Report, UnitName, Verb};

/// What the app is like in one revision.
#[derive(Debug, Clone, Default)]
pub struct Version {
    pub files: Vec<(&'static str, &'static str)>,
    pub status: Option<u16>,
    pub crashes: bool,
    /// No other version is well any more when this one has run, as after a migration.
    pub one_way: bool,
    pub descends_from_live: bool,
    pub hostile: bool,
    pub signed: Signed,
}

/// What checking the signature comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Signed {
    #[default]
    ByAda,
    ByNobody,
    CannotTell,
}

/// A version that crashes when it starts.
pub fn crashing() -> Version {
    Version {
        crashes: true,
        ..good()
    }
}

/// A version whose health URL answers with `status`.
pub fn answering(status: u16) -> Version {
    Version {
        status: Some(status),
        ..good()
    }
}

/// A version that does not descend from the live one.
pub fn on_another_line() -> Version {
    Version {
        descends_from_live: false,
        ..good()
    }
}

/// A version that is well.
pub fn good() -> Version {
    Version {
        status: Some(200),
        descends_from_live: true,
        ..Version::default()
    }
}

/// An app, its host and its forge.
pub struct World {
    pub directory: tempfile::TempDir,
    pub app: App,
    pub remote: RefCell<Option<Revision>>,
    pub versions: RefCell<BTreeMap<Revision, Version>>,
    pub permitted: Cell<bool>,
    pub reachable: Cell<bool>,
    /// What the running process was started in, and how often something was restarted.
    pub running: RefCell<Option<PathBuf>>,
    pub restarts: Cell<u32>,
    pub listings: Cell<u32>,
    /// What the restarter makes of the next requests, last one first: "too many", or `None`, it obeys.
    pub busy: RefCell<Vec<Option<Duration>>>,
    /// The tag that what is followed was found as, and those that are no versions.
    pub tag: RefCell<Option<String>>,
    pub unordered: RefCell<Vec<String>>,
    /// Revisions off the line from which the others descend all the same.
    pub older: RefCell<Vec<Revision>>,
    /// What is seen of the unit in place of what a sound one shows.
    pub unit: RefCell<fn(&mut UnitSeen)>,
    pub stranger: RefCell<Option<ForeignHolder>>,
    /// What was worth a line.
    pub notes: Arc<Mutex<Vec<String>>>,
    /// The live release that the last checkout was shown.
    pub beside: RefCell<Option<PathBuf>>,
    /// The error that the next polls end in.
    pub poll_fails: RefCell<Option<SourceError>>,
    /// What the forge says of each commit's checks.
    pub checks: RefCell<Option<checks::Verdict>>,
    clock: Cell<Duration>,
}

impl World {
    pub fn new(more: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::set_permissions(&root, PermissionsExt::from_mode(0o2775)).unwrap();
        let text = format!(
            "repository = \"forge:todo.git\"\n[restart]\nunits = [\"todo.service\"]\n\
             [health]\nurl = \"http://127.0.0.1:8000/\"\n[deploy]\nroot = \"{}\"\n{more}",
            root.display()
        );
        let fragment = toml::from_str(&text).unwrap();
        let app = App::new("todo", Path::new("todo.toml"), fragment).unwrap();
        Self {
            directory,
            app,
            remote: RefCell::default(),
            versions: RefCell::default(),
            permitted: Cell::new(true),
            reachable: Cell::new(true),
            running: RefCell::default(),
            restarts: Cell::new(0),
            listings: Cell::new(0),
            busy: RefCell::default(),
            tag: RefCell::default(),
            unordered: RefCell::default(),
            older: RefCell::default(),
            unit: RefCell::new(|_| ()),
            stranger: RefCell::default(),
            notes: Arc::default(),
            beside: RefCell::default(),
            poll_fails: RefCell::default(),
            checks: RefCell::default(),
            clock: Cell::new(Duration::ZERO),
        }
    }

    /// A host on which version 1 is live and good, and its revision.
    pub fn with_one_live() -> (Self, Revision) {
        let world = Self::new("");
        let one = world.push('1', good());
        world.attempt();
        (world, one)
    }

    /// Pushes a version whose id is all `digit`.
    pub fn push(&self, digit: char, version: Version) -> Revision {
        let revision = Revision::parse(&digit.to_string().repeat(40)).unwrap();
        self.versions.borrow_mut().insert(revision, version);
        *self.remote.borrow_mut() = Some(revision);
        revision
    }

    pub fn layout(&self) -> Layout {
        Layout::new(&self.app.deploy.root)
    }

    pub fn dir(&self) -> StateDir {
        StateDir::new(&self.directory.path().join("state"), "todo")
    }

    pub fn state(&self) -> State {
        self.dir().load().unwrap()
    }

    pub fn attempts(&self) -> Vec<EndedAttempt> {
        self.dir().history().read().unwrap()
    }

    /// Does `work` as a new process would: under the lock, with the state from disk.
    pub fn process<T>(
        &self,
        work: impl FnOnce(&mut Deployment<'_>, &mut StepRecorder<'_>) -> T,
    ) -> T {
        let dir = self.dir();
        dir.create().unwrap();
        let LockAttempt::Held(_lock) = dir.lock().unwrap() else {
            panic!("nobody else is here")
        };
        let source = Forge(self);
        let mut lines = Notes(Arc::clone(&self.notes));
        let mut deployment = Deployment {
            app: &self.app,
            layout: self.layout(),
            state: dir.load().unwrap(),
            dir,
            source: &source,
            restarter: self,
            host: self,
            checks: self,
            clock: Timestamp::now,
            polled: false,
        };
        work(&mut deployment, &mut StepRecorder::new("todo", &mut lines))
    }

    /// One pass.
    pub fn try_pass(&self) -> Result<Verdict, String> {
        self.process(|d, recorder| pipeline::pass(d, Trigger::Requested, recorder))
            .map_err(|e| e.to_string())
    }

    /// One pass whose time has come, as cron makes it.
    pub fn scheduled_pass(&self) -> Result<Verdict, String> {
        self.process(|d, recorder| pipeline::pass(d, Trigger::Scheduled, recorder))
            .map_err(|e| e.to_string())
    }

    /// One pass that deploys whatever is followed.
    pub fn forced_pass(&self) -> Result<Verdict, String> {
        self.process(|d, recorder| pipeline::pass(d, Trigger::Forced, recorder))
            .map_err(|e| e.to_string())
    }

    /// What a pass would do.
    pub fn predict(&self) -> DryRun {
        self.process(|d, _| predict(d).unwrap())
    }

    /// A rollback by hand.
    pub fn rollback(&self, wanted: Option<&str>) -> Result<EndedAttempt, NoWayBack> {
        self.process(|d, recorder| {
            let target = choose(d, wanted)?;
            match pipeline::roll_back(d, &target, recorder).unwrap() {
                Verdict::Attempted(attempt) => Ok(*attempt),
                other => panic!("no attempt: {other:?}"),
            }
        })
    }

    /// Changes the state.
    pub fn change(&self, change: impl FnOnce(&mut State)) {
        self.process(|d, _| {
            change(&mut d.state);
            d.dir.save(&d.state).unwrap();
        });
    }

    /// One pass that must come to an attempt.
    pub fn attempt(&self) -> EndedAttempt {
        match self.try_pass().unwrap() {
            Verdict::Attempted(attempt) => *attempt,
            other => panic!("no attempt: {other:?}"),
        }
    }

    /// The revision that `current` serves.
    pub fn served(&self) -> Option<Revision> {
        let layout = self.layout();
        layout
            .current()
            .unwrap()
            .and_then(|name| layout.revision_of(&name))
    }

    /// How much time has been waited for, all in all.
    pub fn waited(&self) -> Duration {
        self.clock.get()
    }

    /// The version of the running process.
    fn version(&self) -> Version {
        let running = self.running.borrow();
        let release = running
            .as_deref()
            .and_then(Path::file_name)
            .and_then(|n| n.to_str());
        let revision = release.and_then(|name| self.layout().revision_of(name));
        revision
            .and_then(|r| self.versions.borrow().get(&r).cloned())
            .unwrap_or_default()
    }
}

impl CommitChecks for World {
    fn ask(&self, _: &Checks, _: &Revision) -> checks::Verdict {
        self.checks
            .borrow()
            .clone()
            .unwrap_or(checks::Verdict::Green)
    }
}

struct Notes(Arc<Mutex<Vec<String>>>);

impl Reporter for Notes {
    fn begins(&mut self, _: &str, _: &Revision, _: &str) {}
    fn step(&mut self, _: &str, _: Step, _: Duration, _: bool) {}
    fn note(&mut self, _: &str, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

struct Forge<'w>(&'w World);

struct ListedRefs<'w>(&'w World, FollowedRevision);

struct Fetched<'w>(&'w World, Revision, Commit);

impl Source for Forge<'_> {
    fn poll<'a>(&'a self, _: &[PassedOver]) -> Result<Box<dyn Listing<'a> + 'a>, SourceError> {
        self.0.listings.set(self.0.listings.get() + 1);
        if let Some(error) = self.0.poll_fails.borrow().clone() {
            return Err(error);
        }
        let remote = *self.0.remote.borrow();
        let revision =
            remote.ok_or_else(|| SourceError::environment("forge: connection refused"))?;
        let found = FollowedRevision {
            revision,
            tag: self.0.tag.borrow().clone(),
            unordered: self.0.unordered.borrow().clone(),
        };
        Ok(Box::new(ListedRefs(self.0, found)))
    }

    fn keep(&self, _: &Revision) -> Result<(), SourceError> {
        Ok(())
    }
}

impl<'w> Listing<'w> for ListedRefs<'w> {
    fn found(&self) -> &FollowedRevision {
        &self.1
    }

    fn instead(mut self: Box<Self>, live: &Release) -> Box<dyn Listing<'w> + 'w> {
        self.1.revision = live.revision;
        self
    }

    fn fetch(
        self: Box<Self>,
        _: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Box<dyn Candidate + 'w>, SourceError> {
        let commit = Commit {
            author: "Ada".into(),
            subject: "a change".into(),
        };
        Ok(Box::new(Fetched(self.0, self.1.revision, commit)))
    }
}

impl Candidate for Fetched<'_> {
    fn commit(&self) -> &Commit {
        &self.2
    }

    fn lineage(&mut self, other: &Revision) -> Result<Lineage, SourceError> {
        let versions = self.0.versions.borrow();
        let descends = |from: &Revision, to: &Revision| match versions[from].descends_from_live {
            true => versions[to].descends_from_live,
            false => self.0.older.borrow().contains(from),
        };
        Ok(match (descends(other, &self.1), descends(&self.1, other)) {
            (true, _) => Lineage::Descendant,
            (false, true) => Lineage::Ancestor,
            (false, false) => Lineage::Other,
        })
    }

    fn changes(&mut self, since: &Revision, paths: &[PathBuf]) -> Result<bool, SourceError> {
        let versions = self.0.versions.borrow();
        let of = |revision: &Revision| {
            let files = versions[revision].files.clone();
            files
                .into_iter()
                .filter(|(name, _)| paths.iter().any(|path| Path::new(name).starts_with(path)))
                .collect::<Vec<_>>()
        };
        Ok(of(since) != of(&self.1))
    }

    fn signer(&mut self, _: &Path) -> Result<String, SourceError> {
        match self.0.versions.borrow()[&self.1].signed {
            Signed::ByAda => Ok("ada@example.org (ED25519 SHA256:x)".into()),
            Signed::ByNobody => Err(SourceError::revision("the commit is not signed")),
            Signed::CannotTell => Err(SourceError::environment("ssh-keygen cannot be run")),
        }
    }

    fn check_out(
        &mut self,
        live: Option<&Path>,
        into: &Path,
        _: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(), SourceError> {
        *self.0.beside.borrow_mut() = live.map(Path::to_owned);
        let version = self.0.versions.borrow()[&self.1].clone();
        fs::create_dir(into).unwrap();
        for (name, content) in version.files {
            fs::create_dir_all(into.join(name).parent().unwrap()).unwrap();
            fs::write(into.join(name), content).unwrap();
            fs::set_permissions(into.join(name), PermissionsExt::from_mode(0o775)).unwrap();
        }
        if version.hostile {
            return Err(SourceError::revision("`../x` leaves the release"));
        }
        Ok(())
    }
}

impl Restarter for World {
    fn grants(&self) -> Result<Vec<Grant>, ClientError> {
        if !self.reachable.get() {
            let source = std::io::ErrorKind::NotFound.into();
            return Err(ClientError::Unreachable {
                path: "/run/x.sock".into(),
                source,
            });
        }
        let grant = Grant {
            unit: "todo.service".into(),
            verb: Verb::Restart,
            burst: 3,
            every_ms: 15_000,
        };
        Ok(self.permitted.get().then_some(grant).into_iter().collect())
    }

    fn act(&self, _: Verb, _: &UnitName) -> Result<Answer, ClientError> {
        if let Some(Some(wait)) = self.busy.borrow_mut().pop() {
            return Ok(Answer::Busy(wait));
        }
        let n = self.restarts.get() + 1;
        self.restarts.set(n);
        *self.running.borrow_mut() = fs::canonicalize(self.layout().current_link()).ok();
        if self.version().one_way {
            for version in self
                .versions
                .borrow_mut()
                .values_mut()
                .filter(|v| !v.one_way)
            {
                version.status = Some(500);
            }
        }
        Ok(Answer::Finished(Report {
            job: JobResult::Done,
            refusal: None,
            active: ActiveState::Active,
            sub: "running".into(),
            result: "success".into(),
            main_pid: n,
            invocation_before: [1; 16],
            invocation: [2; 16],
            needs_daemon_reload: false,
            elapsed_ms: 1,
        }))
    }
}

impl Host for World {
    fn unit(&self, name: &UnitName) -> Result<UnitSeen, String> {
        let crashed = self.version().crashes;
        let current = self.layout().current_link();
        let mut seen = UnitSeen {
            active_since: 0,
            name: name.to_string(),
            setup: UnitDefinition {
                load: "loaded".into(),
                kind: "notify".into(),
                can_reload: true,
                directory: current.display().to_string(),
                ..UnitDefinition::default()
            },
            active: if crashed { "failed" } else { "active" }.into(),
            sub: "running".into(),
            result: if crashed { "exit-code" } else { "success" }.into(),
            main_pid: self.restarts.get(),
            restarts: 0,
            in_job: false,
            invocation: vec![1],
            cwd: self.running.borrow().clone(),
            processes: Vec::new(),
        };
        (self.unit.borrow())(&mut seen);
        Ok(seen)
    }

    fn ask(&self, _: &Question, _: Duration) -> health::answer::Answer {
        match self.version().status {
            Some(status) => health::answer::Answer::status(status),
            None => health::answer::Answer::Failed("connection refused".into()),
        }
    }

    fn forget(&self) {}

    fn stranger(
        &self,
        _: &HealthUrl,
        _: &std::collections::BTreeSet<u32>,
    ) -> Option<ForeignHolder> {
        self.stranger.borrow().clone()
    }

    fn now(&self) -> Duration {
        self.clock.get()
    }

    fn sleep(&self, time: Duration) {
        self.clock.set(self.clock.get() + time);
    }
}
