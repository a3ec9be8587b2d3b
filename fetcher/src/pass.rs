//! Takes the lock of an app, and runs one pass of the app with the real drivers: git, the restarter, this host.

use std::path::Path;

use jiff::Timestamp;
use pp_protocol::Client;
use thiserror::Error;

use crate::checks::forge::OverHttps;
use crate::config::App;
use crate::deploy::deployment::PassError;
use crate::deploy::dry_run::{DryRun, predict};
use crate::deploy::rollback::{NoWayBack, choose};
use crate::deploy::{Deployment, Failure, Reporter, StepRecorder, Trigger, Verdict, pipeline};
use crate::events;
use crate::health::SystemHost;
use crate::hooks;
use crate::release::Layout;
use crate::repository::Repository;
use crate::sanitize::print_error;
use crate::state::lock::Lock;
use crate::state::{LockAttempt, State, StateDir, StateError};

/// The result of work that needs an app's lock.
#[derive(Debug)]
pub(crate) enum Pass<T> {
    /// Another process holds the app's lock.
    Busy,
    /// The work was done, with this result.
    Completed(T),
}

/// Why a command did nothing.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// The pass itself failed.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// A step of a dry run failed.
    #[error(transparent)]
    Step(#[from] Failure),
    /// There is no release to go back to.
    #[error(transparent)]
    NoWayBack(#[from] NoWayBack),
    /// Nobody has confirmed that files are crossed.
    #[error("nothing was changed: with --yes it goes back all the same")]
    NotConfirmed,
    /// The host has no more descriptors or memory.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
    /// The state cannot be locked or read.
    #[error("{0}")]
    State(#[from] StateError),
}

/// The state directory of an app whose lock this process holds.
pub(crate) struct Locked {
    dir: StateDir,
    _lock: Lock,
}

impl Locked {
    /// The app's state directory.
    pub(crate) fn dir(&self) -> &StateDir {
        &self.dir
    }
}

/// Takes the app's lock. While another process holds the lock, `again` is called, which may wait, and decides whether
/// the lock is tried once more.
///
/// # Errors
/// The state directory cannot be made, or the lock file not be opened.
pub(crate) fn lock(
    app: &App,
    state: &Path,
    mut again: impl FnMut(&StateDir) -> bool,
) -> Result<Pass<Locked>, Error> {
    let dir = StateDir::new(state, &app.name);
    dir.create()?;
    loop {
        match dir.lock()? {
            LockAttempt::Held(lock) => return Ok(Pass::Completed(Locked { dir, _lock: lock })),
            LockAttempt::Busy if again(&dir) => {}
            LockAttempt::Busy => return Ok(Pass::Busy),
        }
    }
}

/// Changes the state of an app. No driver is opened for that. If `change` refuses with a sentence, that sentence is
/// returned inside of the result, and nothing is written.
///
/// # Errors
/// The state cannot be read or written.
pub(crate) fn change<T>(
    Locked { dir, _lock }: Locked,
    app: &App,
    change: impl FnOnce(&mut State) -> Result<T, String>,
) -> Result<Result<T, String>, Error> {
    let mut state = dir.load()?;
    events::begin(&mut state, Timestamp::now());
    let changed = change(&mut state);
    if changed.is_ok() {
        dir.save(&state)?;
        if let Some(why) = events::tell_command(&app.name, &dir, &mut state) {
            print_error(&format!("{}: {why}", app.name));
        }
    }
    Ok(changed)
}

/// Runs `work` with the real drivers.
fn with_drivers<T>(
    app: &App,
    dir: StateDir,
    state: State,
    work: impl FnOnce(&mut Deployment<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let host = SystemHost::new()?;
    let restarter = Client::default();
    let proxy = app
        .https
        .proxy
        .as_ref()
        .map(|proxy| format!("http://{proxy}"));
    let checks = OverHttps::new(&app.https.ca_file, proxy.as_deref());
    let source = Repository::new(app, dir.mirror());
    let mut deployment = Deployment {
        app,
        layout: Layout::new(&app.deploy.root),
        state,
        dir,
        source: &source,
        restarter: &restarter,
        host: &host,
        checks: &checks,
        clock: Timestamp::now,
        polled: false,
    };
    work(&mut deployment)
}

/// Tells what a pass would do, without creating or writing a file: if the app has no lock file yet, no lock is
/// needed, as no other process can be at work on the app. `again` is as in [`lock`].
///
/// # Errors
/// The forge or the restarter cannot be asked, or the state cannot be read.
pub(crate) fn dry_run(
    app: &App,
    state: &Path,
    mut again: impl FnMut(&StateDir) -> bool,
) -> Result<Pass<DryRun>, Error> {
    let dir = StateDir::new(state, &app.name);
    let _lock = loop {
        match dir.lock_if_there()? {
            Some(LockAttempt::Busy) if again(&dir) => {}
            Some(LockAttempt::Busy) => return Ok(Pass::Busy),
            held => break held,
        }
    };
    let state = dir.load()?;
    let foreseen = with_drivers(app, dir, state, |deployment| Ok(predict(deployment)?));
    foreseen.map(Pass::Completed)
}

/// Runs one pass.
///
/// # Errors
/// No attempt was made; the live release is untouched.
pub(crate) fn pass(
    locked: Locked,
    app: &App,
    state: &Path,
    trigger: Trigger,
    reporter: &mut dyn Reporter,
) -> Result<Verdict, Error> {
    attempt(locked, app, state, reporter, |deployment, recorder| {
        Ok(pipeline::pass(deployment, trigger, recorder)?)
    })
}

/// Rolls back to an earlier release. If files are crossed that going back does not undo, `confirm` is told of them, and
/// decides.
///
/// # Errors
/// There is no earlier release, or no attempt was made; the live release is untouched.
pub(crate) fn rollback(
    locked: Locked,
    app: &App,
    state: &Path,
    wanted: Option<&str>,
    confirm: impl FnOnce(&str) -> bool,
    reporter: &mut dyn Reporter,
) -> Result<Verdict, Error> {
    attempt(locked, app, state, reporter, |deployment, recorder| {
        let target = choose(deployment, wanted)?;
        let left = deployment.layout.current().ok().flatten();
        let crossing = left.map(|left| deployment.crossing(&left, &target.name));
        let crossed = crossing.and_then(|crossing| crossing.describe(&target.name));
        if crossed.is_some_and(|crossed| !confirm(&crossed)) {
            return Err(Error::NotConfirmed);
        }
        Ok(pipeline::roll_back(deployment, &target, recorder)?)
    })
}

/// Runs `work` with the real drivers and what is said of it, and tells the hooks of an attempt.
fn attempt(
    Locked { dir, _lock }: Locked,
    app: &App,
    state: &Path,
    reporter: &mut dyn Reporter,
    work: impl FnOnce(&mut Deployment<'_>, &mut StepRecorder<'_>) -> Result<Verdict, Error>,
) -> Result<Verdict, Error> {
    let place = dir.under_way();
    let mut recorder = StepRecorder::new(&app.name, reporter).with_status_file(place);
    events::end_freezes(state, Timestamp::now());
    let state = dir.load();
    let state = state.inspect_err(|error| events::tell_unreadable(&app.name, &dir, error))?;
    with_drivers(app, dir, state, |deployment| {
        let (ended, untold) =
            events::around(deployment, |deployment| work(deployment, &mut recorder));
        untold.iter().for_each(|why| recorder.note(why));
        let verdict = ended?;
        if let Verdict::Attempted(ended) = &verdict {
            hooks::tell(deployment, ended, &mut recorder);
        }
        Ok(verdict)
    })
}
