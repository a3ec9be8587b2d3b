//! The way back: the previous release serves again.

use std::path::PathBuf;

use super::failure::Failure;
use super::journal::{Journal, Phase};
use super::pipeline::{Deployment, Draft, Verdict, unswitched};
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
        // Those who are served come first, the books second.
        if let Err(error) = self.save() {
            journal.note(&format!("going back all the same: {error}"));
        }
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
                .map_err(|e| unswitched(Phase::BackSwitch, &e))
        })?;
        let restarted = journal.step_noting(Phase::BackRestart, |note| {
            restart_all(
                self.restarter,
                self.host,
                self.app,
                Phase::BackRestart,
                note,
            )
        });
        match restarted {
            Ok(unknown) => unknown.iter().for_each(|what| journal.note(what)),
            // Where the restarter took on neither restart, the old processes were never touched.
            Err(failure) if self.runs_from(previous) => journal.note(&format!(
                "the units still run from {previous}: {}",
                failure.what
            )),
            Err(failure) => return Err(failure),
        }
        journal.step(Phase::BackProbe, || {
            probe(self.host, self.app, &release)
                .map_err(|why| Failure::surroundings(Phase::BackProbe, why))
        })
    }

    /// Whether every unit is seen to work in `release`; not where that cannot be seen, or where no
    /// unit is restarted at all.
    pub(super) fn runs_from(&self, release: &str) -> bool {
        let Ok(release) = self.layout.release(release).canonicalize() else {
            return false;
        };
        let units = &self.app.restart;
        let there = |cwd: &PathBuf| cwd.starts_with(&release);
        let runs = |unit| {
            let seen = self.host.unit(unit).ok();
            seen.is_some_and(|seen| seen.active == "active" && seen.cwd.iter().any(there))
        };
        !units.is_empty() && units.iter().all(runs)
    }
}
