//! What a pass would do, without doing it.

use super::failure::Failure;
use super::journal::Phase;
use super::pipeline::{Deployment, Verdict};
use super::restart::check_permitted;
use crate::revision::Revision;

/// What a pass would come to, as far as one listing tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreseen {
    /// It would go on with an attempt that was cut short.
    GoOn(Revision),
    /// It would not deploy anything.
    Nothing(Verdict),
    /// It would deploy this, unless it finds its history rewritten or its tree hostile.
    Deploy {
        /// What is followed.
        revision: Revision,
        /// What is live.
        live: Option<Revision>,
        /// What would stop it before anything is switched.
        obstacle: Option<Failure>,
    },
}

impl Deployment<'_> {
    /// Asks the forge and the restarter, and writes nothing.
    ///
    /// # Errors
    /// The forge cannot be asked.
    pub fn foresee(&mut self) -> Result<Foreseen, Failure> {
        if let Some(trying) = &self.state.trying {
            return Ok(Foreseen::GoOn(trying.revision.clone()));
        }
        if let Some(pause) = self.pause() {
            return Ok(Foreseen::Nothing(Verdict::Paused(pause)));
        }
        let revision = self.source.poll().map_err(|e| e.during(Phase::Poll))?;
        if let Some(verdict) = self.nothing_to_do(&revision) {
            return Ok(Foreseen::Nothing(verdict));
        }
        let live = self.state.live.as_ref().map(|live| live.revision.clone());
        let obstacle = self
            .layout
            .current()
            .map_err(|e| Failure::surroundings(Phase::Verify, e.to_string()))
            .and_then(|_| check_permitted(self.restarter, self.app))
            .err();
        Ok(Foreseen::Deploy {
            revision,
            live,
            obstacle,
        })
    }
}
