//! One app under its lock, with the real drivers: git, the restarter, this host.

use std::path::Path;

use jiff::Timestamp;
use pp_protocol::Client;
use thiserror::Error;

use crate::config::App;
use crate::deploy::pipeline::PassError;
use crate::deploy::rollback::NoWayBack;
use crate::deploy::{Deployment, Failure, Journal, Reporter, Trigger, Verdict};
use crate::health::SystemHost;
use crate::hooks;
use crate::release::Layout;
use crate::repository::Repository;
use crate::state::{Locked, StateDir, StateError};

/// What came of it.
#[derive(Debug)]
pub enum Pass<T> {
    /// Another process is at work on this app.
    Busy,
    /// It came to this.
    Completed(T),
}

/// Why nothing was done.
#[derive(Debug, Error)]
pub enum Error {
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

/// Takes the app's lock and does `work` with everything it needs.
///
/// # Errors
/// What `work` says, or that it could not begin.
pub fn with<T>(
    app: &App,
    state: &Path,
    work: impl FnOnce(&mut Deployment<'_>) -> Result<T, Error>,
) -> Result<Pass<T>, Error> {
    let dir = StateDir::new(state, &app.name);
    dir.create()?;
    let Locked::Held(_lock) = dir.lock()? else {
        return Ok(Pass::Busy);
    };
    let host = SystemHost::new()?;
    let restarter = Client::default();
    let mut source = Repository::new(app, dir.mirror());
    let mut deployment = Deployment {
        app,
        layout: Layout::new(&app.deploy.root),
        state: dir.load()?,
        dir,
        source: &mut source,
        restarter: &restarter,
        host: &host,
        clock: Timestamp::now,
    };
    work(&mut deployment).map(Pass::Completed)
}

/// One pass.
///
/// # Errors
/// Nothing was attempted; what serves is untouched.
pub fn pass(
    app: &App,
    state: &Path,
    trigger: Trigger,
    reporter: &mut dyn Reporter,
) -> Result<Pass<Verdict>, Error> {
    with(app, state, |deployment| {
        let place = deployment.dir.under_way();
        let mut journal = Journal::new(&app.name, reporter).saying_at(place);
        let verdict = deployment.pass(trigger, &mut journal)?;
        tell(deployment, &verdict, &mut journal);
        Ok(verdict)
    })
}

/// Back to an earlier release.
///
/// # Errors
/// There is none, or nothing was attempted; what serves is untouched.
pub fn rollback(
    app: &App,
    state: &Path,
    wanted: Option<&str>,
    reporter: &mut dyn Reporter,
) -> Result<Pass<Verdict>, Error> {
    with(app, state, |deployment| {
        let place = deployment.dir.under_way();
        let mut journal = Journal::new(&app.name, reporter).saying_at(place);
        let target = deployment.way_back(wanted)?;
        let verdict = deployment.rollback(&target, &mut journal)?;
        tell(deployment, &verdict, &mut journal);
        Ok(verdict)
    })
}

fn tell(deployment: &Deployment<'_>, verdict: &Verdict, journal: &mut Journal<'_>) {
    if let Verdict::Attempted(attempt) = verdict {
        hooks::tell(deployment, attempt, journal);
    }
}
