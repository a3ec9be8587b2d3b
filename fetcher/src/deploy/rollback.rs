//! Back to an earlier release, because somebody says so.

use thiserror::Error;

use super::journal::{Beginning, Journal};
use super::pipeline::{Deployment, Draft, PassError, Verdict};
use crate::state::{Kept, Trying};

/// Why there is nothing to go back to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoWayBack {
    /// Only one release was ever good, or the others are gone.
    #[error(
        "there is no earlier good release on disk, so nothing was changed\n  push a commit that mends \
         what is live: it is deployed by the next poll"
    )]
    NoEarlier,
    /// That one is live.
    #[error("{0} is the live release, so there is nothing to change")]
    Live(String),
    /// Not a good release of this app.
    #[error("{wanted} is not a good release on disk, so nothing was changed; there is {}", there_is(.known))]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// What there is.
        known: Vec<String>,
    },
}

fn there_is(known: &[String]) -> String {
    if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    }
}

impl Deployment<'_> {
    /// The release that a rollback goes to: `wanted`, by its name or its revision's first digits, or
    /// the last good one before the live one.
    ///
    /// # Errors
    /// There is none.
    pub fn way_back(&self, wanted: Option<&str>) -> Result<Kept, NoWayBack> {
        let on_disk = self.layout.on_disk();
        let there = |kept: &&Kept| on_disk.contains(&kept.release);
        let current = self.layout.current().ok().flatten();
        let serves = |kept: &Kept| current.as_ref() == Some(&kept.release);
        // The live release is one to go back to where it does not serve, or is not well.
        let live = self.state.live.iter();
        let live = live.filter(|live| !serves(live) || self.state.stuck.is_some());
        let mut good = live.chain(&self.state.earlier).filter(there);
        let Some(wanted) = wanted else {
            // A way back to it that has failed is not to be tried once more.
            return good
                .find(|kept| !serves(kept))
                .cloned()
                .ok_or(NoWayBack::NoEarlier);
        };
        let is = |kept: &Kept| {
            kept.release == wanted
                || (wanted.len() >= 4 && kept.revision.as_str().starts_with(wanted))
        };
        let is_live = self
            .state
            .live
            .as_ref()
            .is_some_and(|live| is(live) && serves(live));
        if is_live && self.state.stuck.is_none() {
            return Err(NoWayBack::Live(wanted.to_owned()));
        }
        let known = good.clone().map(|kept| kept.release.clone()).collect();
        let unknown = NoWayBack::Unknown {
            wanted: wanted.to_owned(),
            known,
        };
        good.find(|kept| is(kept)).cloned().ok_or(unknown)
    }

    /// Switches to `target`, restarts and probes as after any switch. The revision that is left
    /// behind is quarantined first, so that no poll deploys it again meanwhile.
    ///
    /// # Errors
    /// The state cannot be written, or an attempt that was cut short comes first.
    pub fn rollback(
        &mut self,
        target: &Kept,
        journal: &mut Journal<'_>,
    ) -> Result<Verdict, PassError> {
        let started_at = (self.clock)();
        let previous = self.way_back_to(Some(&target.release));
        let left = self.state.live.as_ref().map(|live| live.revision.clone());
        let subject = format!("rolled back by hand to {}", target.release);
        journal.begin(&target.revision, Beginning::Rollback(&target.release));
        // Both what was live and what could not be taken back: no poll deploys them again meanwhile.
        let stuck = self.state.stuck.as_ref().map(|s| s.revision.clone());
        for left in left
            .iter()
            .chain(&stuck)
            .filter(|left| **left != target.revision)
        {
            let reason = format!("left by hand for {}", target.release);
            self.state.quarantine(left, &reason, started_at, None);
        }
        let draft = Draft {
            attempt: self.state.next_attempt,
            started_at,
            revision: target.revision.clone(),
            previous: left,
            author: String::new(),
            subject: subject.clone(),
            signed_by: None,
            release: Some(target.release.clone()),
        };
        self.state.next_attempt += 1;
        let trying = Trying {
            attempt: draft.attempt,
            started_at,
            revision: target.revision.clone(),
            author: String::new(),
            subject,
            signed_by: None,
            release: target.release.clone(),
            previous,
            going_back: None,
            tag: target.tag.clone(),
            ill_before: None,
            phases: Vec::new(),
        };
        self.state.trying = Some(trying.clone());
        self.save()?;
        let brought_up = self.bring_up(&trying, journal);
        Ok(self.settle(draft, trying, brought_up, journal)?)
    }
}
