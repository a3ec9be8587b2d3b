//! The record of an attempt to deploy a revision; the same type serves while the attempt runs and after it
//! has ended.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::outcome::Outcome;
use crate::deploy::step::Step;
use crate::release::surroundings::Surroundings;
use crate::revision::Revision;

/// An attempt to deploy a revision. The field names in JSON are those of `state.json` and of `history.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The attempt's number, counted from 1; also the name of its log file.
    #[serde(rename = "attempt")]
    pub number: u64,
    /// When the attempt began.
    pub started_at: Timestamp,
    /// The revision that is deployed.
    pub revision: Revision,
    /// The revision that was live before the attempt.
    pub previous: Option<Revision>,
    /// The author of the commit.
    pub author: String,
    /// The first line of the commit's message.
    pub subject: String,
    /// Who signed the revision, if the configuration asks for a signature.
    #[serde(default)]
    pub signed_by: Option<String>,
    /// The name of the attempt's release; empty, and null in JSON, if the attempt has left no release on
    /// disk.
    #[serde(default, with = "empty_is_null")]
    pub release: String,
    /// How long each ended step took, in the order of the steps.
    #[serde(default)]
    pub phases: Vec<PhaseTime>,
    /// The command by which a person has asked for the attempt; `None`: it came of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why the attempt failed, as a word for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Only while the attempt runs: the step from which it is resumed if it is cut short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// Only while the attempt runs: the release that a way back leads to; `None` if no release on disk was good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_release: Option<String>,
    /// Only while the attempt runs: why `current` is being switched back to the previous release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub going_back: Option<String>,
    /// Only while the attempt runs: the tag that the revision was found as, without `refs/tags/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Only while the attempt runs: what the release depends on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surroundings: Option<Surroundings>,
    /// Only while the attempt runs: what was wrong with the live release before the attempt changed anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ill_before: Option<IllBefore>,
}

/// An attempt that has ended: one line of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedAttempt {
    /// The attempt.
    #[serde(flatten)]
    pub attempt: Attempt,
    /// How the attempt ended.
    pub outcome: Outcome,
    /// Why the attempt ended that way, if it did not end well.
    pub reason: Option<String>,
}

/// What was wrong with the live release before an attempt changed anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IllBefore {
    /// The fault as a message.
    pub what: String,
    /// An identifier of the fault: the same fault of two releases has the same key.
    pub key: String,
}

/// How long one step of the pipeline took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseTime {
    /// The name of the step, as in the pipeline.
    pub phase: String,
    /// The duration in milliseconds.
    pub ms: u64,
    /// Whether the step has failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
}

impl Attempt {
    /// Gives the name of the attempt's release, if the attempt has left one on disk.
    #[must_use]
    pub fn release(&self) -> Option<&str> {
        (!self.release.is_empty()).then_some(&self.release)
    }

    /// Ends the attempt: drops the fields that are only needed to resume it.
    #[must_use]
    pub fn end(mut self, outcome: Outcome, reason: Option<String>) -> EndedAttempt {
        self.step = None;
        self.previous_release = None;
        self.going_back = None;
        self.tag = None;
        self.ill_before = None;
        self.surroundings = None;
        EndedAttempt {
            attempt: self,
            outcome,
            reason,
        }
    }

    /// Gives the total duration of all ended steps.
    #[must_use]
    pub fn total(&self) -> Duration {
        let times = self.phases.iter().map(|time| time.ms);
        Duration::from_millis(times.fold(0, u64::saturating_add))
    }
}

/// Converts the JSON of an attempt of an earlier version: until 0.1.0, `previous` in `state.json` was the
/// name of a release and not a revision.
pub(super) fn migrate(attempt: &mut Map<String, Value>) {
    let Some(Value::String(previous)) = attempt.get("previous") else {
        return;
    };
    if Revision::parse(previous).is_err() {
        let release = attempt.insert("previous".to_owned(), Value::Null);
        attempt.insert("previous_release".to_owned(), release.unwrap_or_default());
    }
}

/// Serializes an empty text as null in JSON, and reads null as an empty text.
mod empty_is_null {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(text: &str, to: S) -> Result<S::Ok, S::Error> {
        (!text.is_empty()).then_some(text).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
        Ok(Option::deserialize(from)?.unwrap_or_default())
    }
}
