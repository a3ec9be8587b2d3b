//! How an attempt ends, and what is written down about it.

use std::io::Write;

use super::failure::{Failure, FailureClass};
use super::journal::{Journal, Phase};
use super::pipeline::{Deployment, Draft, Verdict};
use crate::release::prune::Failed;
use crate::revision::Revision;
use crate::space;
use crate::state::open;
use crate::state::{Attempt, Kept, Outcome, StateError, Trying};

impl Deployment<'_> {
    /// What an attempt's end leads to: good, undone, or the way back.
    pub(super) fn settle(
        &mut self,
        mut draft: Draft,
        trying: Trying,
        ended: Result<(), Failure>,
        journal: &mut Journal<'_>,
    ) -> Result<Verdict, StateError> {
        draft.release = Some(trying.release.clone());
        match ended {
            Ok(()) => self.good(draft, trying, journal),
            Err(failure) if failure.phase.is_after_switch() && self.has_left(&trying) => {
                self.go_back(draft, trying, failure, journal)
            }
            // Somebody has led `current` elsewhere meanwhile, but units may run from this one.
            Err(failure) if failure.phase.is_after_switch() && failure.phase != Phase::Switch => {
                self.state.trying = None;
                self.abandon(draft, &failure, journal)
            }
            Err(failure) if self.worth_a_look(&failure) => {
                self.state.trying = None;
                let failure = self.keep_for_inspection(&trying, failure);
                self.abandon(draft, &failure, journal)
            }
            Err(failure) => {
                self.discard(&trying);
                draft.release = None;
                self.abandon(draft, &failure, journal)
            }
        }
    }

    /// Whether `current` leads to what is being tried, or nowhere where it led somewhere before. Where it
    /// cannot be read it counts as changed.
    fn has_left(&self, trying: &Trying) -> bool {
        match self.layout.current() {
            Ok(Some(current)) => current == trying.release,
            Ok(None) => trying.previous.is_some(),
            Err(_) => true,
        }
    }

    fn good(
        &mut self,
        draft: Draft,
        trying: Trying,
        journal: &mut Journal<'_>,
    ) -> Result<Verdict, StateError> {
        let deployed_at = (self.clock)();
        let Trying {
            revision,
            release,
            tag,
            ..
        } = trying;
        self.state.went_live(Kept {
            revision,
            release,
            deployed_at,
            tag,
        });
        self.state.trying = None;
        self.state.trouble = None;
        let live = draft.revision.clone();
        let verdict = self.conclude(draft, Outcome::Good, None, journal)?;
        if let Err(error) = self.source.keep(&live) {
            journal.note(&format!("the mirror could not be tidied: {}", error.what));
        }
        Ok(verdict)
    }

    /// Whether somebody will want to see what a failed build has left. Not if the disk is full of it.
    fn worth_a_look(&self, failure: &Failure) -> bool {
        failure.phase == Phase::Build
            && failure.class == FailureClass::Revision
            && space::is_full(&self.layout.releases()).is_none()
    }

    fn keep_for_inspection(&self, trying: &Trying, mut failure: Failure) -> Failure {
        let kept = format!(
            "what it has left stays in {} until another attempt fails",
            self.layout.release(&trying.release).display()
        );
        // Where the output is read, too; the message says it in any case.
        let log = open::append(&self.dir.log(trying.attempt));
        let _ = log.and_then(|mut log| writeln!(log, "[{kept}]"));
        failure.what = format!("{}\n  {kept}", failure.what);
        failure
    }

    /// Removes and forgets the releases that need not stay. Nothing depends on it.
    pub(super) fn tidy(&mut self, failed: Failed<'_>, journal: &mut Journal<'_>) {
        let remembered = self.state.earlier.len();
        let on_disk = self.layout.on_disk();
        if self.state.live.iter().any(|l| on_disk.contains(&l.release)) {
            // What a crash has removed and not forgotten would take the place of one to go back to.
            self.state.earlier.retain(|e| on_disk.contains(&e.release));
        }
        let keep = self.app.deploy.keep;
        let pruned = self.layout.prune(&mut self.state, keep, failed);
        pruned.left.iter().for_each(|what| journal.note(what));
        if self.state.earlier.len() != remembered
            && let Err(error) = self.save()
        {
            journal.note(&format!(
                "that old releases are gone is not written down: {error}"
            ));
        }
    }

    /// Ends an attempt that has switched nothing.
    pub(super) fn abandon(
        &mut self,
        draft: Draft,
        failure: &Failure,
        journal: &mut Journal<'_>,
    ) -> Result<Verdict, StateError> {
        self.hold_against(&draft.revision, failure);
        self.conclude(draft, failure.outcome, Some(failure.to_string()), journal)
    }

    /// A revision that is at fault is quarantined; otherwise it is tried again, ever less often.
    pub(super) fn hold_against(&mut self, revision: &Revision, failure: &Failure) {
        match failure.class {
            FailureClass::Environment => self.count_trouble(failure),
            FailureClass::Revision => {
                self.state.trouble = None;
                self.state.quarantine(
                    revision,
                    &failure.to_string(),
                    (self.clock)(),
                    Some(&self.app.fingerprint),
                );
            }
        }
    }

    /// Writes down how an attempt ended: the history first, then the state. A crash in between
    /// ends the same attempt twice in the history, where the last line counts.
    pub(super) fn conclude(
        &mut self,
        draft: Draft,
        outcome: Outcome,
        reason: Option<String>,
        journal: &mut Journal<'_>,
    ) -> Result<Verdict, StateError> {
        if outcome != Outcome::Stuck {
            self.layout.stay();
        }
        let attempt = Attempt {
            attempt: draft.attempt,
            started_at: draft.started_at,
            revision: draft.revision,
            previous: draft.previous,
            author: draft.author,
            subject: draft.subject,
            signed_by: draft.signed_by,
            outcome,
            reason,
            release: draft.release,
            phases: journal.phases().to_vec(),
        };
        if let Err(error) = self.dir.history().append(&attempt) {
            journal.note(&format!("the history cannot be written: {error}"));
        }
        if let Err(error) = self.save() {
            // The error says that nothing can be written; how the attempt ended is to be known too.
            let outcome = attempt.outcome.as_str();
            let reason = attempt.reason.as_deref().unwrap_or_default();
            journal.note(&format!(
                "{outcome}, which cannot be written down: {reason}"
            ));
            return Err(error);
        }
        self.tidy(
            match &attempt.release {
                Some(name) if outcome != Outcome::Good => Failed::This(name),
                _ => Failed::Latest,
            },
            journal,
        );
        Ok(Verdict::Attempted(Box::new(attempt)))
    }
}
