//! One app under its lock, with the real drivers: git, the restarter, this host.

use std::path::Path;

use jiff::Timestamp;
use pp_protocol::Client;
use thiserror::Error;

use crate::config::App;
use crate::deploy::deployment::PassError;
use crate::deploy::dry_run::{DryRun, foresee};
use crate::deploy::rollback::{NoWayBack, choose};
use crate::deploy::{Deployment, Failure, Journal, Reporter, Trigger, Verdict, pipeline};
use crate::health::SystemHost;
use crate::hooks;
use crate::release::Layout;
use crate::repository::Repository;
use crate::state::{LockAttempt, State, StateDir, StateError};

/// What came of it.
#[derive(Debug)]
pub(crate) enum Pass<T> {
    /// Another process is at work on this app.
    Busy,
    /// It came to this.
    Completed(T),
}

/// Why nothing was done.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// The pass itself failed.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// A step that only looks failed.
    #[error(transparent)]
    Step(#[from] Failure),
    /// There is nothing to go back to.
    #[error(transparent)]
    NoWayBack(#[from] NoWayBack),
    /// The host has no more descriptors or memory.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
    /// The state cannot be locked or read.
    #[error("{0}")]
    State(#[from] StateError),
}

/// Changes an app's state under its lock. Nothing else is opened for that.
///
/// # Errors
/// The state cannot be locked, read or written. What `change` says as a sentence is handed on, and nothing is
/// written then.
pub(crate) fn change<T>(
    app: &App,
    state: &Path,
    change: impl FnOnce(&mut State) -> Result<T, String>,
) -> Result<Pass<Result<T, String>>, Error> {
    let dir = StateDir::new(state, &app.name);
    dir.create()?;
    let LockAttempt::Held(_lock) = dir.lock()? else {
        return Ok(Pass::Busy);
    };
    let mut state = dir.load()?;
    let changed = change(&mut state);
    if changed.is_ok() {
        dir.save(&state)?;
    }
    Ok(Pass::Completed(changed))
}

/// Takes the app's lock and does `work` with everything that a pass needs.
fn with_lock<T>(
    app: &App,
    state: &Path,
    work: impl FnOnce(&mut Deployment<'_>) -> Result<T, Error>,
) -> Result<Pass<T>, Error> {
    let dir = StateDir::new(state, &app.name);
    dir.create()?;
    let LockAttempt::Held(_lock) = dir.lock()? else {
        return Ok(Pass::Busy);
    };
    with_drivers(app, dir, work).map(Pass::Completed)
}

fn with_drivers<T>(
    app: &App,
    dir: StateDir,
    work: impl FnOnce(&mut Deployment<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let host = SystemHost::new()?;
    let restarter = Client::default();
    let source = Repository::new(app, dir.mirror());
    let mut deployment = Deployment {
        app,
        layout: Layout::new(&app.deploy.root),
        state: dir.load()?,
        dir,
        source: &source,
        restarter: &restarter,
        host: &host,
        clock: Timestamp::now,
    };
    work(&mut deployment)
}

/// What a pass would do. Nothing is made or written; where there is no state yet, nobody else can be at work.
///
/// # Errors
/// The forge or the restarter cannot be asked, or the state not be read.
pub(crate) fn dry_run(app: &App, state: &Path) -> Result<Pass<DryRun>, Error> {
    let dir = StateDir::new(state, &app.name);
    let _lock = match dir.lock_if_there()? {
        Some(LockAttempt::Busy) => return Ok(Pass::Busy),
        held => held,
    };
    let foreseen = with_drivers(app, dir, |deployment| Ok(foresee(deployment)?));
    foreseen.map(Pass::Completed)
}

/// One pass.
///
/// # Errors
/// Nothing was attempted; what serves is untouched.
pub(crate) fn pass(
    app: &App,
    state: &Path,
    trigger: Trigger,
    reporter: &mut dyn Reporter,
) -> Result<Pass<Verdict>, Error> {
    with_lock(app, state, |deployment| {
        let place = deployment.dir.under_way();
        let mut journal = Journal::new(&app.name, reporter).saying_at(place);
        let verdict = pipeline::pass(deployment, trigger, &mut journal)?;
        tell(deployment, &verdict, &mut journal);
        Ok(verdict)
    })
}

/// Back to an earlier release.
///
/// # Errors
/// There is none, or nothing was attempted; what serves is untouched.
pub(crate) fn rollback(
    app: &App,
    state: &Path,
    wanted: Option<&str>,
    reporter: &mut dyn Reporter,
) -> Result<Pass<Verdict>, Error> {
    with_lock(app, state, |deployment| {
        let place = deployment.dir.under_way();
        let mut journal = Journal::new(&app.name, reporter).saying_at(place);
        let target = choose(deployment, wanted)?;
        let verdict = pipeline::roll_back(deployment, &target, &mut journal)?;
        tell(deployment, &verdict, &mut journal);
        Ok(verdict)
    })
}

fn tell(deployment: &Deployment<'_>, verdict: &Verdict, journal: &mut Journal<'_>) {
    if let Verdict::Attempted(ended) = verdict {
        hooks::tell(deployment, ended, journal);
    }
}
