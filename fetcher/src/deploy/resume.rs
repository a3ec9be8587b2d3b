//! After a crash: what an attempt that was cut short has left, and where to go on.

use super::journal::{Beginning, Journal, Phase};
use super::pipeline::{Deployment, Draft, Verdict};
use crate::state::{StateError, Trying};

impl Deployment<'_> {
    /// Finishes or undoes an attempt that was cut short; `None` if there was none.
    ///
    /// # Errors
    /// The state cannot be written.
    pub(super) fn resume(
        &mut self,
        journal: &mut Journal<'_>,
    ) -> Result<Option<Verdict>, StateError> {
        let Some(trying) = self.state.trying.clone() else {
            return Ok(None);
        };
        // What cannot be written down is not gone on with: every poll would restart the app.
        self.save()?;
        let draft = self.draft_of(&trying);
        let switched = self.layout.current().ok().flatten().as_deref() == Some(&trying.release);
        if trying.going_back.is_some() {
            let to = trying.previous.clone().unwrap_or_default();
            journal.begin(&trying.revision, Beginning::Back(&to));
            journal.resume(&trying.phases);
            return self.finish_going_back(draft, trying, journal).map(Some);
        }
        // A rollback's target was made long ago: there is nothing to undo, only to go on with.
        if switched || self.was_made_before(&trying) {
            journal.begin(&trying.revision, Beginning::GoOn);
            journal.resume(&trying.phases);
            let brought_up = self.bring_up(&trying, journal);
            return self.settle(draft, trying, brought_up, journal).map(Some);
        }
        self.discard(&trying);
        self.save()?;
        Ok(None)
    }

    /// Undoes an attempt that has switched nothing. The state is the caller's to save.
    pub(super) fn discard(&mut self, trying: &Trying) {
        self.state.trying = None;
        if self.was_made_before(trying) {
            return;
        }
        // What cannot be removed now is swept, or pruned as a failed release.
        let _ = self.layout.remove(&trying.release);
    }

    /// Whether what is tried is a release that was good once: a rollback's target.
    fn was_made_before(&self, trying: &Trying) -> bool {
        self.good_releases()
            .any(|kept| kept.release == trying.release)
    }

    /// What is known of an attempt that was written down.
    pub(super) fn draft_of(&self, trying: &Trying) -> Draft {
        Draft {
            attempt: trying.attempt,
            started_at: trying.started_at,
            revision: trying.revision.clone(),
            previous: trying
                .previous
                .as_deref()
                .and_then(|name| self.revision_of(name)),
            author: trying.author.clone(),
            subject: trying.subject.clone(),
            signed_by: trying.signed_by.clone(),
            release: Some(trying.release.clone()),
        }
    }
}

impl Phase {
    /// Whether a failure in this phase finds `current` switched.
    #[must_use]
    pub fn is_after_switch(self) -> bool {
        matches!(self, Self::Switch | Self::Restart | Self::Probe)
    }
}
