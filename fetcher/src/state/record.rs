//! The types of `state.json`: what is live, which attempt is running, which revisions must not be tried
//! again.

use jiff::Timestamp;
use pp_objects::ObjectId;
use serde::{Deserialize, Serialize};

use super::attempt::Attempt;
use super::told::Told;
use crate::release::surroundings::Surroundings;
use crate::revision::Revision;

/// Version of the format of `state.json`. A file of another version is refused, not interpreted.
pub(crate) const SCHEMA: u32 = 1;

/// Everything that is stored of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The version of the format: [`SCHEMA`].
    pub schema: u32,
    /// Number of the next attempt, counted from 1.
    pub next_attempt: u64,
    /// The release that was last found good; `current` should point at it.
    pub live: Option<Release>,
    /// Good releases before the live one that are still on disk, the latest first.
    pub earlier: Vec<Release>,
    /// An attempt that has begun and has not ended. A crash leaves it behind, and the next pass resumes it.
    pub trying: Option<Attempt>,
    /// Revisions that are not tried again by themselves, the latest last.
    pub quarantined: Vec<Quarantine>,
    /// The failure of the last polls, if the environment was to blame, and how often in a row.
    pub trouble: Option<FailedPolls>,
    /// The pause of the app: while it holds, nothing new is deployed.
    #[serde(default)]
    pub paused: Option<Pause>,
    /// The only revision that may go live although it does not descend from the live revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_rewrite: Option<AcceptedRewrite>,
    /// An attempt whose way back to the previous release has failed. Every pass tries that way back again,
    /// unless a newer revision is deployed instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck: Option<Attempt>,
    /// Tags that were tried, each with its revision, the latest last. They are stored because a tag must not
    /// move.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<SeenTag>,
    /// The last revision that was left out because it changes none of the app's `paths`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchanged: Option<Unchanged>,
    /// Tags that do not point at a commit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
    /// Tags that match the configured pattern but are not versions, and have already been reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unordered: Vec<String>,
    /// The revision whose checks at the forge are waited for, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchecked: Option<(Revision, Timestamp)>,
    /// What a person has asked the next pass for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// What the outbox has been told; `None` until a pass of a version that tells has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
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
            unchanged: None,
            passed_over: Vec::new(),
            unordered: Vec::new(),
            unchecked: None,
            asked: None,
            told: None,
        }
    }
}

/// A release that was found good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The revision that the release was made of.
    pub revision: Revision,
    /// The name of its directory below `releases/`.
    #[serde(rename = "release")]
    pub name: String,
    /// When the release was found good.
    pub deployed_at: Timestamp,
    /// The tag that the revision was found as, without `refs/tags/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// What the release depended on when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surroundings: Option<Surroundings>,
}

/// A tag that was tried, and the revision that it pointed at then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenTag {
    /// The name of the tag, without `refs/tags/`.
    pub tag: String,
    /// The commit that the tag pointed at.
    pub revision: Revision,
}

/// A tag that does not point at a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// The name of the tag, without `refs/tags/`.
    pub tag: String,
    /// The object that the tag points at.
    pub id: ObjectId,
}

/// A revision that changes none of the app's `paths`, so that it is not deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unchanged {
    /// The revision that is left out.
    pub revision: Revision,
    /// The live revision that it was compared with.
    pub live: Revision,
    /// The fingerprint of the configuration, which names the paths.
    pub configuration: String,
}

/// A revision that is not tried again by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    /// The revision that is quarantined.
    pub revision: Revision,
    /// What was wrong with the revision.
    pub reason: String,
    /// When the revision was quarantined.
    pub at: Timestamp,
    /// The fingerprint of the configuration that the revision failed with: it is tried again when the
    /// configuration changes. `None`: the configuration does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<String>,
    /// The code of the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// A failure that no revision is to blame for, such as an error of the forge or of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedPolls {
    /// The error of the last poll.
    pub reason: String,
    /// When the first of these polls failed.
    pub since: Timestamp,
    /// When the last of these polls failed.
    pub last: Timestamp,
    /// How many polls in a row have failed.
    pub count: u32,
    /// The fingerprint of the configuration that the polls failed with: after a change, the next poll does
    /// not wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<String>,
    /// The code of the last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// A deploy that a person has asked for: the next pass makes it, whatever holds new revisions then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// Whatever was held back is tried again.
    Retry,
    /// The live revision is deployed anew.
    Redeploy,
}

impl Asked {
    /// What an attempt was asked for by, if it was by one of these commands.
    #[must_use]
    pub fn of(by: Option<&str>) -> Option<Self> {
        [Self::Retry, Self::Redeploy]
            .into_iter()
            .find(|asked| by == Some(asked.as_str()))
    }

    /// The command by which it was asked for.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Redeploy => "redeploy",
        }
    }
}

/// A pause: a person has decided that nothing new is deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The reason for the pause, as given by the person.
    pub reason: String,
    /// When the pause began.
    pub since: Timestamp,
    /// When the pause ends; `None`: when a person ends it.
    pub until: Option<Timestamp>,
}

impl Pause {
    /// Whether the pause still holds at `now`.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// A rewritten history that a person has accepted. It is stored until its revision or another one goes live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedRewrite {
    /// The tip of the accepted history: this revision and no other may go live.
    pub revision: Revision,
    /// When the rewritten history was accepted.
    pub at: Timestamp,
}

impl State {
    /// Gives the quarantine of `revision`, if the revision is quarantined.
    #[must_use]
    pub fn quarantine_of(&self, revision: &Revision) -> Option<&Quarantine> {
        self.quarantined
            .iter()
            .rev()
            .find(|q| q.revision == *revision)
    }

    /// Quarantines `revision`: it is not tried again by itself, or, with a `configuration`, not before that
    /// changes.
    pub fn quarantine(
        &mut self,
        revision: &Revision,
        reason: &str,
        at: Timestamp,
        configuration: Option<&str>,
    ) {
        /// Only the tip of a ref is ever tried, so few quarantined revisions matter.
        const MOST: usize = 50;
        self.quarantined.retain(|q| q.revision != *revision);
        self.quarantined.push(Quarantine {
            revision: *revision,
            reason: reason.into(),
            at,
            configuration: configuration.map(str::to_owned),
            code: None,
        });
        keep_last(&mut self.quarantined, MOST);
    }

    /// Lifts every quarantine, the trouble and a failed way back, so that the followed revision is tried.
    /// Gives the revisions that were held back. A way back that has failed is given up: the followed revision
    /// is deployed instead.
    pub fn lift(&mut self) -> Vec<Revision> {
        self.asked = Some(Asked::Retry);
        self.trouble = None;
        let stuck = self.stuck.take().map(|stuck| stuck.revision);
        let mut lifted: Vec<_> = self.quarantined.drain(..).map(|q| q.revision).collect();
        lifted.extend(stuck.filter(|revision| !lifted.contains(revision)));
        lifted
    }

    /// Gives the revision that `tag` pointed at when it was tried.
    #[must_use]
    pub fn seen_tag(&self, tag: &str) -> Option<&Revision> {
        let seen = self.tags.iter().rev().find(|seen| seen.tag == tag);
        seen.map(|seen| &seen.revision)
    }

    /// Stores that `tag` points at `revision`.
    pub fn saw_tag(&mut self, tag: &str, revision: &Revision) {
        /// A repository with more tags than that does not need its oldest ones any more.
        const MOST: usize = 200;
        self.tags.retain(|seen| seen.tag != tag);
        self.tags.push(SeenTag {
            tag: tag.to_owned(),
            revision: *revision,
        });
        keep_last(&mut self.tags, MOST);
    }

    /// Whether `revision` may go live although it does not descend from the live revision.
    #[must_use]
    pub fn accepts_rewrite(&self, revision: &Revision) -> bool {
        let accepted = self.accepted_rewrite.as_ref();
        accepted.is_some_and(|accepted| accepted.revision == *revision)
    }

    /// Accepts a rewritten history that ends in `written`: a whole revision, or the first digits of a
    /// quarantined one. The quarantine of that revision is lifted.
    ///
    /// # Errors
    /// A sentence: there is no such revision, or it is the live one.
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
        /// Fewer digits are likely a typing error.
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

    /// Makes `release` the live one; the live release before it becomes the first of the earlier ones.
    pub fn went_live(&mut self, release: Release) {
        self.quarantined.retain(|q| q.revision != release.revision);
        // An accepted rewrite has been used by this release, or this release has made it obsolete.
        self.accepted_rewrite = None;
        self.earlier.retain(|earlier| earlier.name != release.name);
        self.stuck = None;
        let name = release.name.clone();
        if let Some(before) = self.live.replace(release).filter(|b| b.name != name) {
            self.earlier.insert(0, before);
        }
    }
}

/// Drops the oldest entries of a list that has more than `most`.
pub(crate) fn keep_last<T>(list: &mut Vec<T>, most: usize) {
    let excess = list.len().saturating_sub(most);
    list.drain(..excess);
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
