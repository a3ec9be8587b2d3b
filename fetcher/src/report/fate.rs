//! Why one commit was deployed, or not.

use super::why::{Facts, Why, utc};
use crate::revision::Revision;
use crate::state::EndedAttempt;
use crate::util::duration::human;

impl Facts<'_> {
    /// Says what became of one revision, named by its first digits.
    pub(crate) fn of_revision(&self, written: &str) -> Why {
        let is = |revision: &Revision| revision.to_string().starts_with(written);
        let tried = self.attempts.iter();
        let tried = tried.filter(|ended| is(&ended.attempt.revision));
        let mut rests_on: Vec<_> = tried.map(|ended| ("attempt", describe(ended))).collect();
        let decision = self.fate(&is, !rests_on.is_empty());
        let is_live = self
            .state
            .live
            .as_ref()
            .is_some_and(|live| is(&live.revision));
        let is_held = self.state.quarantined.iter().any(|held| is(&held.revision));
        let waits = self.status.waits.is_some_and(|revision| is(&revision));
        let would_change = match (is_live, is_held) {
            (true, _) => Vec::new(),
            (false, false) if waits => self.would_change("waits"),
            (false, true) => {
                vec![self.command("retry", "lets the next poll try what is followed")]
            }
            (false, false) => {
                vec!["a push after which it is the tip of what is followed".to_owned()]
            }
        };
        rests_on.extend(self.rests_on().into_iter().take(3));
        Why {
            decision,
            at: self.note.map(|note| note.at),
            rests_on,
            would_change,
        }
    }

    /// What became of the revision, in a sentence.
    fn fate(&self, is: &dyn Fn(&Revision) -> bool, was_tried: bool) -> String {
        let state = self.state;
        let held = state.quarantined.iter().rev();
        let held = held.clone().find(|held| is(&held.revision));
        let unchanged = state.unchanged.as_ref();
        let earlier = state.earlier.iter().find(|release| is(&release.revision));
        let seen = self.note.and_then(|note| note.seen);
        if let Some(live) = state.live.as_ref().filter(|live| is(&live.revision)) {
            format!("it is live, since {}", utc(live.deployed_at))
        } else if let Some(held) = held {
            let first = held.reason.lines().next().unwrap_or_default();
            format!("it is held back since {}: {first}", utc(held.at))
        } else if self.status.waits.is_some_and(|revision| is(&revision)) {
            let hold = self.status.hold.as_ref().map(|hold| hold.what.clone());
            format!("it waits: {}", hold.unwrap_or_default())
        } else if unchanged.is_some_and(|same| is(&same.revision)) {
            "it changes none of the app's `paths`, so that what is live stays".to_owned()
        } else if let Some(earlier) = earlier {
            format!(
                "it was live from {} on, and another one is live now",
                utc(earlier.deployed_at)
            )
        } else if was_tried {
            "it was tried, and is not live".to_owned()
        } else if seen.is_some_and(|seen| is(&seen)) {
            self.decision(self.note.map_or("", |note| note.result.as_str()))
        } else {
            "no poll has found it to be what is followed. Only the tip at the moment of a poll is deployed, with all commits \
             before it: it came with a later one, or is on another branch"
                .to_owned()
        }
    }
}

/// Describes an attempt in one line.
fn describe(ended: &EndedAttempt) -> String {
    let attempt = &ended.attempt;
    let reason = ended.reason.as_deref().and_then(|text| text.lines().next());
    let reason = reason.map(|text| format!(": {text}")).unwrap_or_default();
    let by = attempt.by.as_deref().map(|by| format!(", by {by}"));
    format!(
        "#{} {}, {}{} after {}{reason}",
        attempt.number,
        utc(attempt.started_at),
        ended.outcome.as_str(),
        by.unwrap_or_default(),
        human(attempt.total())
    )
}
