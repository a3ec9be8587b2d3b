//! One app with everything that a pass of the app needs, and the verdict of a pass.

use std::path::PathBuf;

use jiff::Timestamp;
use thiserror::Error;

use super::failure::Failure;
use super::restart::Restarter;
use super::source::Source;
use crate::checks::CommitChecks;
use crate::config::App;
use crate::health::Host;
use crate::release::Layout;
use crate::release::crossing::Crossing;
use crate::release::surroundings::Surroundings;
use crate::revision::Revision;
use crate::schedule::hold::{Hold, hold};
use crate::state::{
    Attempt, EndedAttempt, FailedPolls, Pause, Quarantine, Release, State, StateDir, StateError,
};

/// One app with everything that a pass of the app needs. Made under the app's lock.
pub(crate) struct Deployment<'a> {
    /// The app.
    pub app: &'a App,
    /// The app's directories.
    pub layout: Layout,
    /// The directory in which the app's state is kept.
    pub dir: StateDir,
    /// The app's state.
    pub state: State,
    /// The source of revisions.
    pub source: &'a dyn Source,
    /// The restarter of units.
    pub restarter: &'a dyn Restarter,
    /// The host, through which units, processes and the health URL are observed.
    pub host: &'a dyn Host,
    /// Whoever is asked whether a commit is green.
    pub checks: &'a dyn CommitChecks,
    /// Gives the current time.
    pub clock: fn() -> Timestamp,
    /// Whether the forge has answered in this pass.
    pub polled: bool,
}

impl Deployment<'_> {
    /// Writes the state to disk.
    ///
    /// # Errors
    /// The state cannot be written; the earlier state is then still on disk, complete.
    pub(super) fn save(&self) -> Result<(), StateError> {
        self.dir.save(&self.state)
    }

    /// Gives the pause of the app that is in force now, if any.
    pub(super) fn pause(&self) -> Option<Pause> {
        let pause = self.state.paused.clone();
        pause.filter(|pause| pause.holds((self.clock)()))
    }

    /// Gives what holds new revisions now: a freeze, or a window that is closed.
    pub(super) fn hold(&self) -> Option<Hold> {
        hold(self.app, &self.dir.freezes(), (self.clock)())
    }

    /// Looks at what a release depends on and is in no commit; `None` without the key for the fingerprints.
    pub(super) fn surroundings(&self) -> Option<Surroundings> {
        Surroundings::now(self.app, &self.dir.key().ok()?)
    }

    /// Gives what a way back from the release `from` to the release `to` crosses.
    pub(crate) fn crossing(&self, from: &str, to: &str) -> Crossing {
        Crossing::between(&self.layout, from, to, &self.app.deploy.migrations)
    }

    /// Gives the directory of the release that `attempt` makes, or goes back to.
    pub(super) fn release_of(&self, attempt: &Attempt) -> PathBuf {
        self.layout.release(&attempt.release)
    }
}

/// The result of a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The revision that is followed is live already.
    Nothing(Revision),
    /// The revision that is followed changes none of the app's `paths`, compared with what is live.
    Unchanged {
        /// The revision that is followed.
        revision: Revision,
        /// The live revision.
        live: Revision,
    },
    /// The revision that is followed is quarantined.
    Held(Quarantine),
    /// The revision that is followed was deployed, but `current` leads elsewhere: somebody has switched it by hand.
    Switched {
        /// The release that was deployed.
        live: Release,
        /// The release that `current` leads to.
        current: String,
    },
    /// A person has paused the app; the forge was not asked.
    Paused(Pause),
    /// The revision that is followed is not deployed yet: a freeze or a window holds it.
    Waits {
        /// The revision that waits.
        revision: Revision,
        /// What holds it.
        hold: Hold,
    },
    /// The last polls failed; the forge was not asked again yet.
    Waiting(FailedPolls),
    /// An attempt was made.
    Attempted(Box<EndedAttempt>),
}

/// Why a pass ended without a verdict.
#[derive(Debug, Error)]
pub(crate) enum PassError {
    /// The state cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// A step before the attempt began has failed; nothing was touched.
    #[error(transparent)]
    Step(#[from] Failure),
}
