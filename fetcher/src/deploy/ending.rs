//! How an attempt ends, and what is written down about it.

use super::failure::{Blame, Failure};
use super::journal::Journal;
use super::pipeline::{Deployment, Draft, Verdict};
use crate::revision::Revision;
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
            Err(failure) if failure.phase.is_after_switch() => {
                self.go_back(draft, trying, &failure, journal)
            }
            Err(failure) => {
                self.discard(&trying)?;
                draft.release = None;
                self.abandon(draft, &failure, journal)
            }
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
            revision, release, ..
        } = trying;
        self.state.went_live(Kept {
            revision,
            release,
            deployed_at,
        });
        self.state.trying = None;
        self.state.trouble = None;
        let live = draft.revision.clone();
        let verdict = self.conclude(draft, Outcome::Good, None, journal)?;
        if let Err(error) = self.source.keep(&live) {
            journal.note(&format!("the mirror could not be tidied: {}", error.what));
        }
        let gone = self.layout.prune(&mut self.state, self.app.deploy.keep);
        if !gone.is_empty() {
            self.save()?;
        }
        Ok(verdict)
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
        match failure.blame {
            Blame::Surroundings => self.count_trouble(failure),
            Blame::Revision => {
                self.state.trouble = None;
                self.state
                    .quarantine(revision, &failure.to_string(), (self.clock)());
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
        let attempt = Attempt {
            attempt: draft.attempt,
            started_at: draft.started_at,
            revision: draft.revision,
            previous: draft.previous,
            author: draft.author,
            subject: draft.subject,
            outcome,
            reason,
            release: draft.release,
            phases: journal.phases().to_vec(),
        };
        if let Err(error) = self.dir.history().append(&attempt) {
            journal.note(&format!("the history cannot be written: {error}"));
        }
        self.save()?;
        Ok(Verdict::Attempted(Box::new(attempt)))
    }
}
