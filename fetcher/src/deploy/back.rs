//! The way back: the previous release serves again.

use std::path::PathBuf;

use super::failure::{Failure, FailureClass};
use super::journal::{Beginning, Journal, Phase};
use super::pipeline::{Deployment, Draft, Verdict, unswitched};
use super::restart::restart_all;
use crate::health::probe::probe;
use crate::state::{IllBefore, Outcome, StateError, Trying};

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
        mut failure: Failure,
        journal: &mut Journal<'_>,
    ) -> Result<Verdict, StateError> {
        journal.note(&format!("not well: {}", failure.what));
        if let Some(ill) = &trying.ill_before {
            // Whatever it is, this revision has not brought it: it is tried again, later and later.
            failure.class = FailureClass::Environment;
            failure.what.push_str(&self.compared(&failure, ill));
        }
        self.hold_against(&trying.revision, &failure);
        trying.going_back = Some(failure.to_string());
        trying.phases = journal.phases().to_vec();
        self.state.trying = Some(trying.clone());
        // Those who are served come first, the books second.
        if let Err(error) = self.save() {
            journal.note(&format!("going back all the same: {error}"));
        }
        self.finish_going_back(draft, trying, journal)
    }

    /// How the failure of a new release stands beside what was wrong before it.
    fn compared(&self, failure: &Failure, ill: &IllBefore) -> String {
        let file = self.app.path.display();
        if failure.key.as_ref() == Some(&ill.key) {
            format!(
                "\n  the release before was not well in the same way before this deploy, so the cause is likely \
                 outside of the revision: `url` and the other keys of [health] in {file}, or what both releases \
                 need (a database, say)\n  the revision is not held back: the next polls try it again, ever less \
                 often, and at once when {file} has changed"
            )
        } else {
            format!(
                "\n  the release before was not well either before this deploy ({}); the revision is not held \
                 back: the next polls try it again, ever less often",
                ill.what
            )
        }
    }

    /// Goes on with a way back that has failed before.
    ///
    /// # Errors
    /// The state cannot be written.
    pub(super) fn go_on_going_back(
        &mut self,
        stuck: &Trying,
        journal: &mut Journal<'_>,
    ) -> Result<Verdict, StateError> {
        // What cannot be written down is not gone on with: every poll would restart the app.
        self.save()?;
        let mut trying = stuck.clone();
        trying.previous = self.way_back_to(Some(&stuck.release)).or(trying.previous);
        let to = trying.previous.clone().unwrap_or_default();
        journal.begin(&trying.revision, Beginning::Back(&to));
        journal.resume(&trying.phases);
        let draft = self.draft_of(&trying);
        self.finish_going_back(draft, trying, journal)
    }

    /// Does what is left of a way back.
    ///
    /// # Errors
    /// The state cannot be written.
    pub(super) fn finish_going_back(
        &mut self,
        draft: Draft,
        trying: Trying,
        journal: &mut Journal<'_>,
    ) -> Result<Verdict, StateError> {
        let reason = trying.going_back.clone().unwrap_or_default();
        let Some(previous) = trying.previous.clone() else {
            let reason = format!("{reason}\n  {}", self.no_way_back(&trying));
            self.state.trying = None;
            return self.conclude(draft, Outcome::Stuck, Some(reason), journal);
        };
        let back = self.bring_back(&previous, journal);
        self.state.trying = None;
        match back {
            Ok(()) => {
                self.state.stuck = None;
                self.conclude(draft, Outcome::RolledBack, Some(reason), journal)
            }
            // It was not well before either, so nothing is stuck that was not before.
            Err(worse) if trying.ill_before.is_some() && was_brought_back(&worse) => {
                let reason = format!(
                    "{reason}\n  {previous} is back, and is not well, as before this deploy: {}",
                    worse.what
                );
                self.conclude(draft, Outcome::RolledBack, Some(reason), journal)
            }
            Err(worse) => {
                let app = &self.app.name;
                let reason = format!(
                    "{reason}\n  and the way back to {previous} did not end well: {}\n  each poll goes on with \
                     the way back; a newer commit goes ahead of it, and so does this one again after \
                     `pp-fetcher retry {app}`; `pp-fetcher rollback {app}` goes to an older release, if there \
                     is one",
                    worse.what
                );
                // Its phases are those up to the way back: every poll that goes on adds its own to them, and
                // the next one starts from the same.
                self.state.stuck = Some(trying);
                self.conclude(draft, Outcome::Stuck, Some(reason), journal)
            }
        }
    }

    /// What to do where nothing good ever was live.
    fn no_way_back(&self, trying: &Trying) -> String {
        let app = &self.app.name;
        let held = self.state.quarantine_of(&trying.revision).is_some();
        if held {
            format!(
                "no release before it was good, so there is none to go back to: push a commit that mends it, \
                 which the next poll deploys; if the cause is outside of the repository (its unit, a database), \
                 mend that, and then: pp-fetcher retry {app}"
            )
        } else {
            format!(
                "no release before it was good, so there is none to go back to; the next polls try it again, \
                 ever less often; when the cause is mended: pp-fetcher poll {app}"
            )
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
                .map_err(|illness| Failure::environment(Phase::BackProbe, illness.what))
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

/// Whether a way back that did not end well has brought the old code up all the same: a unit that was
/// restarted and fails by itself runs it, one that nobody restarted still runs the new code.
fn was_brought_back(worse: &Failure) -> bool {
    match worse.phase {
        Phase::BackProbe => true,
        Phase::BackRestart => worse.class == FailureClass::Revision,
        _ => false,
    }
}
