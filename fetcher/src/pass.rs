//! One pass over one app, with the real drivers: the lock, git, the restarter, this host.

use std::path::Path;

use jiff::Timestamp;
use pp_protocol::Client;
use thiserror::Error;

use crate::config::App;
use crate::deploy::pipeline::PassError;
use crate::deploy::{Deployment, Journal, Reporter, Verdict};
use crate::health::SystemHost;
use crate::hooks;
use crate::release::Layout;
use crate::repository::Repository;
use crate::state::{Locked, StateDir, StateError};

/// What came of a pass.
#[derive(Debug)]
pub enum Passed {
    /// Another process is at work on this app.
    Busy,
    /// It came to this.
    Came(Verdict),
}

/// Why there was no pass.
#[derive(Debug, Error)]
pub enum Error {
    /// The pass itself failed.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// The host has no more descriptors or memory.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
    /// The state cannot be locked or read.
    #[error("{0}")]
    State(#[from] StateError),
}

/// Takes the app's lock and makes one pass.
///
/// # Errors
/// Nothing was attempted; what serves is untouched.
pub fn pass(app: &App, state: &Path, reporter: &mut dyn Reporter) -> Result<Passed, Error> {
    let dir = StateDir::new(state, &app.name);
    dir.create()?;
    let Locked::Held(_lock) = dir.lock()? else {
        return Ok(Passed::Busy);
    };
    let host = SystemHost::new()?;
    let restarter = Client::default();
    let mut source = Repository::new(app, dir.mirror());
    let mut journal = Journal::new(&app.name, reporter);
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
    let verdict = deployment.pass(&mut journal)?;
    if let Verdict::Attempted(attempt) = &verdict {
        hooks::tell(app, &deployment, attempt, &mut journal);
    }
    Ok(Passed::Came(verdict))
}
