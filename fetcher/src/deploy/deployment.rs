//! One app with everything that a pass over it needs, and what a pass comes to.

use std::path::PathBuf;

use jiff::Timestamp;
use thiserror::Error;

use super::failure::Failure;
use super::restart::Restarter;
use super::source::Source;
use crate::config::App;
use crate::health::Host;
use crate::release::Layout;
use crate::revision::Revision;
use crate::state::{
    Attempt, EndedAttempt, FailedPolls, Pause, Quarantine, Release, State, StateDir, StateError,
};

/// One app with everything a pass over it needs. Made under the app's lock.
pub(crate) struct Deployment<'a> {
    /// The app.
    pub app: &'a App,
    /// Its directories.
    pub layout: Layout,
    /// Where its state is kept.
    pub dir: StateDir,
    /// Its state.
    pub state: State,
    /// Where revisions come from.
    pub source: &'a dyn Source,
    /// Who restarts units.
    pub restarter: &'a dyn Restarter,
    /// How units and the app are looked at.
    pub host: &'a dyn Host,
    /// The time of day.
    pub clock: fn() -> Timestamp,
}

impl Deployment<'_> {
    /// Writes the state down.
    ///
    /// # Errors
    /// The disk; the state before is then still there, whole.
    pub(super) fn save(&self) -> Result<(), StateError> {
        self.dir.save(&self.state)
    }

    /// The pause that holds now.
    pub(super) fn pause(&self) -> Option<Pause> {
        let pause = self.state.paused.clone();
        pause.filter(|pause| pause.holds((self.clock)()))
    }

    /// The directory of the release that `attempt` makes, or goes to.
    pub(super) fn release_of(&self, attempt: &Attempt) -> PathBuf {
        self.layout.release(&attempt.release)
    }
}

/// What a pass came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The live revision is what is followed.
    Nothing(Revision),
    /// What is followed is quarantined.
    Held(Quarantine),
    /// What is followed was deployed, and `current` leads elsewhere: somebody has switched it by hand.
    Switched {
        /// What was deployed.
        live: Release,
        /// The release that `current` leads to.
        current: String,
    },
    /// Somebody paused the app; the forge was not asked.
    Paused(Pause),
    /// The last polls failed; the forge was not asked again yet.
    Waiting(FailedPolls),
    /// An attempt was made.
    Attempted(Box<EndedAttempt>),
}

/// Why a pass ended before it could come to anything.
#[derive(Debug, Error)]
pub(crate) enum PassError {
    /// The state cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// A step before any attempt failed; nothing was touched.
    #[error(transparent)]
    Step(#[from] Failure),
}
