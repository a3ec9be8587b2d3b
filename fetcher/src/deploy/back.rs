//! The way back: the previous release serves again.

use super::failure::Failure;
use super::journal::{Journal, Phase};
use super::pipeline::{Deployment, Draft, Verdict};
use super::restart::restart_all;
use crate::health::probe::probe;
use crate::state::{Outcome, StateError, Trying};

impl Deployment<'_> {
    /// Leaves a release that is not well. The reason is written down before anything is touched,
    /// so that a crash in here goes on going back.
    ///
    /// # Errors
    /// The state cannot be written.
    pub(super) fn go_back(
        &mut self,
        draft: Draft,
        mut trying: Trying,
        failure: &Failure,
        journal: &mut Journal<'_>,
    ) -> Result<Verdict, StateError> {
        journal.note(&format!("not well: {}", failure.what));
        self.hold_against(&trying.revision, failure);
        trying.going_back = Some(failure.to_string());
        self.state.trying = Some(trying.clone());
        self.save()?;
        self.finish_going_back(draft, &trying, journal)
    }

    /// Does what is left of a way back.
    ///
    /// # Errors
    /// The state cannot be written.
    pub(super) fn finish_going_back(
        &mut self,
        draft: Draft,
        trying: &Trying,
        journal: &mut Journal<'_>,
    ) -> Result<Verdict, StateError> {
        let reason = trying.going_back.clone().unwrap_or_default();
        let Some(previous) = trying.previous.clone() else {
            let reason = format!(
                "{reason}\n  it is the first release, and there is none to go back to: push a commit that mends it"
            );
            self.state.trying = None;
            return self.conclude(draft, Outcome::Stuck, Some(reason), journal);
        };
        match self.bring_back(&previous, journal) {
            Ok(()) => {
                self.state.trying = None;
                self.conclude(draft, Outcome::RolledBack, Some(reason), journal)
            }
            Err(worse) => {
                // What was being tried stays written down: the next poll goes on going back.
                let reason = format!(
                    "{reason}\n  and the way back to {previous} did not end well: {}",
                    worse.what
                );
                self.conclude(draft, Outcome::Stuck, Some(reason), journal)
            }
        }
    }

    fn bring_back(&mut self, previous: &str, journal: &mut Journal<'_>) -> Result<(), Failure> {
        let release = self.layout.release(previous);
        let served = self.layout.current().ok().flatten();
        if served.as_deref() == Some(previous) && probe(self.host, self.app, &release).is_ok() {
            // The restart of an earlier try, or somebody's hand, has brought it up already.
            return Ok(());
        }
        journal.step(Phase::BackSwitch, || {
            self.layout
                .switch(previous)
                .map_err(|e| Failure::surroundings(Phase::BackSwitch, e.to_string()))
        })?;
        let unknown = journal.step_noting(Phase::BackRestart, |note| {
            restart_all(
                self.restarter,
                self.host,
                self.app,
                Phase::BackRestart,
                note,
            )
        })?;
        unknown.iter().for_each(|what| journal.note(what));
        journal.step(Phase::BackProbe, || {
            probe(self.host, self.app, &release)
                .map_err(|why| Failure::surroundings(Phase::BackProbe, why))
        })
    }
}
