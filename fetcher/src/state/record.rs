//! `state.json`: what is live, what is being tried, what must not be tried again.

use jiff::Timestamp;
use pp_objects::ObjectId;
use serde::{Deserialize, Serialize};

use super::attempt::Attempt;
use crate::revision::Revision;

/// Version of `state.json`. A file of another version is not guessed at.
pub(crate) const SCHEMA: u32 = 1;

/// Everything remembered of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Number of the next attempt, from 1.
    pub next_attempt: u64,
    /// The release that was last found good, and is what `current` should be.
    pub live: Option<Release>,
    /// Good releases before it that are still on disk, the latest first.
    pub earlier: Vec<Release>,
    /// An attempt that has begun and has not ended: what a crash leaves behind.
    pub trying: Option<Attempt>,
    /// Revisions that are not tried again by themselves, the latest last.
    pub quarantined: Vec<Quarantine>,
    /// What went wrong before any attempt could begin, and how often in a row.
    pub trouble: Option<Trouble>,
    /// Nothing new is deployed meanwhile.
    #[serde(default)]
    pub paused: Option<Pause>,
    /// The one revision that may go live although it does not descend from the live one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_rewrite: Option<AcceptedRewrite>,
    /// An attempt whose way back has failed: every pass goes on with the way back, unless something
    /// newer goes ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck: Option<Attempt>,
    /// Tags that were tried, with what each stood for, the latest last: a tag is not to move.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<SeenTag>,
    /// Tags that stand for no commit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
    /// Tags that match, are no versions, and were told of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unordered: Vec<String>,
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
            accepted_rewrite: None,
            stuck: None,
            tags: Vec::new(),
            passed_over: Vec::new(),
            unordered: Vec::new(),
        }
    }
}

/// A good release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// What it was made of.
    pub revision: Revision,
    /// The name of its directory below `releases/`.
    #[serde(rename = "release")]
    pub name: String,
    /// When it was found good.
    pub deployed_at: Timestamp,
    /// The tag it was found as, without `refs/tags/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// A tag, and what it stood for when it was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenTag {
    /// Its name, without `refs/tags/`.
    pub tag: String,
    /// The commit.
    pub revision: Revision,
}

/// A tag that stands for no commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// Its name, without `refs/tags/`.
    pub tag: String,
    /// What it stands for.
    pub id: ObjectId,
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
    /// The configuration it was found with: with another one it is tried again. `None`: whatever
    /// the configuration is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<String>,
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
    /// The configuration it came with: with another one nothing is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<String>,
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

/// A rewritten history that somebody has accepted, until it or another revision goes live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedRewrite {
    /// Its tip: this very revision and no other.
    pub revision: Revision,
    /// When it was accepted.
    pub at: Timestamp,
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

    /// Remembers not to try `revision` again by itself, as long as the `configuration` stays.
    pub fn quarantine(
        &mut self,
        revision: &Revision,
        reason: &str,
        at: Timestamp,
        configuration: Option<&str>,
    ) {
        /// Only the tip of a ref is ever tried, so few of these matter.
        const MOST: usize = 50;
        self.quarantined.retain(|q| q.revision != *revision);
        self.quarantined.push(Quarantine {
            revision: *revision,
            reason: reason.into(),
            at,
            configuration: configuration.map(str::to_owned),
        });
        keep_last(&mut self.quarantined, MOST);
    }

    /// Lifts everything that keeps what is followed from being tried, and gives the revisions that
    /// were held back. A way back that fails is given up: what is followed goes ahead of it.
    pub fn lift(&mut self) -> Vec<Revision> {
        self.trouble = None;
        let stuck = self.stuck.take().map(|stuck| stuck.revision);
        let mut lifted: Vec<_> = self.quarantined.drain(..).map(|q| q.revision).collect();
        lifted.extend(stuck.filter(|revision| !lifted.contains(revision)));
        lifted
    }

    /// What `tag` stood for when it was tried.
    #[must_use]
    pub fn seen_tag(&self, tag: &str) -> Option<&Revision> {
        let seen = self.tags.iter().rev().find(|seen| seen.tag == tag);
        seen.map(|seen| &seen.revision)
    }

    /// Remembers what `tag` stands for.
    pub fn saw_tag(&mut self, tag: &str, revision: &Revision) {
        /// A repository with more releases has no use for its oldest ones any more.
        const MOST: usize = 200;
        self.tags.retain(|seen| seen.tag != tag);
        self.tags.push(SeenTag {
            tag: tag.to_owned(),
            revision: *revision,
        });
        keep_last(&mut self.tags, MOST);
    }

    /// Whether `revision` may go live although it does not descend from the live one.
    #[must_use]
    pub fn accepts_rewrite(&self, revision: &Revision) -> bool {
        let accepted = self.accepted_rewrite.as_ref();
        accepted.is_some_and(|accepted| accepted.revision == *revision)
    }

    /// Accepts that history was rewritten to end in `written`: a whole id, or the first digits of
    /// a revision that is held back, which no longer is then.
    ///
    /// # Errors
    /// No such revision, or it is live: a sentence.
    pub fn accept_rewrite(&mut self, written: &str, at: Timestamp) -> Result<Revision, String> {
        let revision = self.held_back(written)?;
        if self.live.as_ref().is_some_and(|l| l.revision == revision) {
            return Err(format!("{} is the live revision", revision.short()));
        }
        self.quarantined.retain(|q| q.revision != revision);
        self.accepted_rewrite = Some(AcceptedRewrite { revision, at });
        Ok(revision)
    }

    fn held_back(&self, written: &str) -> Result<Revision, String> {
        /// Fewer digits are a slip of the keyboard.
        const FEWEST: usize = 7;
        if let Ok(whole) = Revision::parse(written) {
            return Ok(whole);
        }
        let held = || self.quarantined.iter().map(|q| &q.revision);
        let meant = |r: &&Revision| written.len() >= FEWEST && r.to_string().starts_with(written);
        let mut found = held().filter(meant);
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(*one),
            _ => {
                let known: Vec<_> = held().map(Revision::to_string).collect();
                let known = if known.is_empty() {
                    "nothing".to_owned()
                } else {
                    known.join(", ")
                };
                Err(format!(
                    "`{written}` is not one revision that is held back (held back: {known})\n  \
                     write all 40 digits of it"
                ))
            }
        }
    }

    /// Makes `release` the live one; the one before it becomes an earlier one.
    pub fn went_live(&mut self, release: Release) {
        self.quarantined.retain(|q| q.revision != release.revision);
        // Used up, or overtaken.
        self.accepted_rewrite = None;
        self.earlier.retain(|earlier| earlier.name != release.name);
        self.stuck = None;
        let name = release.name.clone();
        if let Some(before) = self.live.replace(release).filter(|b| b.name != name) {
            self.earlier.insert(0, before);
        }
    }
}

/// Drops the oldest of a list that is longer than `most`.
pub(crate) fn keep_last<T>(list: &mut Vec<T>, most: usize) {
    let excess = list.len().saturating_sub(most);
    list.drain(..excess);
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
