//! `state.json`: what is live, what is being tried, what must not be tried again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::revision::Revision;

/// Version of `state.json`. A file of another version is not guessed at.
pub const SCHEMA: u32 = 1;

/// Everything remembered of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Number of the next attempt, from 1.
    pub next_attempt: u64,
    /// The release that was last found good, and is what `current` should be.
    pub live: Option<Kept>,
    /// Good releases before it that are still on disk, the latest first.
    pub earlier: Vec<Kept>,
    /// An attempt that has begun and has not ended: what a crash leaves behind.
    pub trying: Option<Trying>,
    /// Revisions that are not tried again by themselves, the latest last.
    pub quarantined: Vec<Quarantine>,
    /// What went wrong before any attempt could begin, and how often in a row.
    pub trouble: Option<Trouble>,
    /// Nothing new is deployed meanwhile.
    #[serde(default)]
    pub paused: Option<Pause>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            next_attempt: 1,
            live: None,
            earlier: Vec::new(),
            trying: None,
            quarantined: Vec::new(),
            trouble: None,
            paused: None,
        }
    }
}

/// A good release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What it was made of.
    pub revision: Revision,
    /// Its directory's name below `releases/`.
    pub release: String,
    /// When it was found good.
    pub deployed_at: Timestamp,
}

/// An attempt under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trying {
    /// Its number.
    pub attempt: u64,
    /// When it began.
    pub started_at: Timestamp,
    /// What is deployed.
    pub revision: Revision,
    /// The commit's author.
    pub author: String,
    /// The first line of the commit's message.
    pub subject: String,
    /// The new release's directory name.
    pub release: String,
    /// What `current` was before; nothing at the first deploy.
    pub previous: Option<String>,
    /// Why the new release is being left again; `None` while it is being brought up.
    pub going_back: Option<String>,
}

/// A revision that is not tried again by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    /// The revision.
    pub revision: Revision,
    /// What was wrong with it.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
}

/// A failure that is nobody's revision's fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The last error.
    pub reason: String,
    /// When it first came.
    pub since: Timestamp,
    /// When it last came.
    pub last: Timestamp,
    /// How many polls in a row ended so.
    pub count: u32,
}

/// Nothing new is deployed, because somebody said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; without it, until somebody ends it.
    pub until: Option<Timestamp>,
}

impl Pause {
    /// Whether it still holds.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is live and well.
    Good,
    /// The revision was not accepted; nothing was switched.
    Refused,
    /// It failed before the switch; nothing was switched.
    Failed,
    /// It was not well; the previous release serves again.
    RolledBack,
    /// It was not well, and there was no way back, or the way back is not well either.
    Stuck,
}

impl Outcome {
    /// The word in `history` and its JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::RolledBack => "rolled-back",
            Self::Stuck => "stuck",
        }
    }
}

impl State {
    /// Why `revision` is not tried, if it is quarantined.
    #[must_use]
    pub fn quarantine_of(&self, revision: &Revision) -> Option<&Quarantine> {
        self.quarantined
            .iter()
            .rev()
            .find(|q| q.revision == *revision)
    }

    /// Remembers not to try `revision` again by itself.
    pub fn quarantine(&mut self, revision: &Revision, reason: &str, at: Timestamp) {
        /// Only the tip of a ref is ever tried, so few of these matter.
        const MOST: usize = 50;
        self.quarantined.retain(|q| q.revision != *revision);
        self.quarantined.push(Quarantine {
            revision: revision.clone(),
            reason: reason.into(),
            at,
        });
        let excess = self.quarantined.len().saturating_sub(MOST);
        self.quarantined.drain(..excess);
    }

    /// Makes `kept` the live release; the one before it becomes an earlier one.
    pub fn went_live(&mut self, kept: Kept) {
        self.quarantined.retain(|q| q.revision != kept.revision);
        self.earlier
            .retain(|earlier| earlier.release != kept.release);
        if let Some(before) = self.live.replace(kept) {
            self.earlier.insert(0, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(digit: char) -> Revision {
        Revision::parse(&digit.to_string().repeat(40)).unwrap()
    }

    fn kept(digit: char) -> Kept {
        Kept {
            revision: revision(digit),
            release: digit.into(),
            deployed_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_good_release_becomes_live_and_lifts_its_own_quarantine() {
        let mut state = State::default();
        state.quarantine(&revision('a'), "build failed", Timestamp::UNIX_EPOCH);
        state.went_live(kept('b'));
        state.went_live(kept('a'));
        assert_eq!(state.live, Some(kept('a')));
        assert_eq!(state.earlier, [kept('b')]);
        assert_eq!(state.quarantine_of(&revision('a')), None);
    }

    #[test]
    fn quarantine_keeps_the_latest_reason_and_a_bounded_number() {
        let mut state = State::default();
        state.quarantine(&revision('a'), "first", Timestamp::UNIX_EPOCH);
        state.quarantine(&revision('a'), "second", Timestamp::UNIX_EPOCH);
        assert_eq!(
            state.quarantine_of(&revision('a')).unwrap().reason,
            "second"
        );
        for n in 0..100 {
            let other = Revision::parse(&format!("{n:040x}")).unwrap();
            state.quarantine(&other, "x", Timestamp::UNIX_EPOCH);
        }
        assert_eq!(state.quarantined.len(), 50);
    }
}
