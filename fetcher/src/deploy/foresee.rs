//! What a pass would do, without doing it.

use super::failure::Failure;
use super::journal::Phase;
use super::look::Looked;
use super::pipeline::{Deployment, Verdict};
use crate::release::shared::Will;
use crate::revision::Revision;

/// What a pass would come to, as far as one listing tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreseen {
    /// It would go on with an attempt that was cut short.
    GoOn(Revision),
    /// It would not deploy anything.
    Nothing(Verdict),
    /// It would deploy this, unless it finds it unsigned, its history rewritten or its tree hostile.
    Deploy {
        /// What is followed.
        revision: Revision,
        /// What is live.
        live: Option<Revision>,
        /// What would stop it before anything is switched.
        obstacle: Option<Failure>,
        /// What was seen of the host.
        looked: Looked,
        /// What would become of each shared path.
        shared: Vec<Will>,
    },
    /// It would go on with a way back that has failed.
    GoBack(Revision),
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
        let stuck = self
            .state
            .stuck
            .as_ref()
            .map(|stuck| stuck.revision.clone());
        if let Some(pause) = self.pause() {
            let nothing = Foreseen::Nothing(Verdict::Paused(pause));
            return Ok(stuck.map_or(nothing, Foreseen::GoBack));
        }
        let polled = self.source.poll(&self.state.passed_over);
        if let (Err(_), Some(stuck)) = (&polled, &stuck) {
            return Ok(Foreseen::GoBack(stuck.clone()));
        }
        let revision = polled.map_err(|e| e.during(Phase::Poll))?.revision;
        if let Some(verdict) = self.nothing_to_do(&revision) {
            return Ok(stuck.map_or(Foreseen::Nothing(verdict), Foreseen::GoBack));
        }
        let live = self.state.live.as_ref().map(|live| live.revision.clone());
        let (looked, obstacle) = match self.look() {
            Ok(looked) => (looked, None),
            Err(obstacle) => (Looked::default(), Some(obstacle)),
        };
        Ok(Foreseen::Deploy {
            revision,
            live,
            obstacle,
            looked,
            shared: self.layout.will_share(&self.app.deploy.shared),
        })
    }
}
