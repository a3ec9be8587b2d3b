//! An attempt to deploy a revision: the one record of it, while it is made and when it has ended.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::outcome::Outcome;
use crate::deploy::step::Step;
use crate::revision::Revision;

/// An attempt. The names in JSON are those of `state.json` and of `history.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number, from 1; names its log.
    #[serde(rename = "attempt")]
    pub number: u64,
    /// When it began.
    pub started_at: Timestamp,
    /// What is deployed.
    pub revision: Revision,
    /// What was live before.
    pub previous: Option<Revision>,
    /// The author of the commit.
    pub author: String,
    /// The first line of the commit's message.
    pub subject: String,
    /// Who signed it, where that was asked for.
    #[serde(default)]
    pub signed_by: Option<String>,
    /// The name of its release; empty, and null in JSON, where it has left none.
    #[serde(default, with = "empty_is_null")]
    pub release: String,
    /// How long each step took that has ended, in order.
    #[serde(default)]
    pub phases: Vec<PhaseTime>,
    /// While it is made: the step from which it is gone on with, should it be cut short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// While it is made: what `current` led to before; nothing at the first deploy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_release: Option<String>,
    /// While it is made: why the new release is being left again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub going_back: Option<String>,
    /// While it is made: the tag it was found as, without `refs/tags/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// While it is made: what was wrong with the live release before anything was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ill_before: Option<IllBefore>,
}

/// An attempt that has ended: a line of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedAttempt {
    /// The attempt.
    #[serde(flatten)]
    pub attempt: Attempt,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it ended so, if not well.
    pub reason: Option<String>,
}

/// What was wrong with the live release before a deploy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IllBefore {
    /// In words.
    pub what: String,
    /// The same for the same fault of two releases.
    pub key: String,
}

/// How long one step took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseTime {
    /// Its name, as in the pipeline.
    pub phase: String,
    /// Milliseconds.
    pub ms: u64,
}

impl Attempt {
    /// The name of the release, if it has left one.
    #[must_use]
    pub fn release(&self) -> Option<&str> {
        (!self.release.is_empty()).then_some(&self.release)
    }

    /// Ends the attempt: what was known only to go on with it is forgotten.
    #[must_use]
    pub fn end(mut self, outcome: Outcome, reason: Option<String>) -> EndedAttempt {
        self.step = None;
        self.previous_release = None;
        self.going_back = None;
        self.tag = None;
        self.ill_before = None;
        EndedAttempt {
            attempt: self,
            outcome,
            reason,
        }
    }

    /// All its steps together.
    #[must_use]
    pub fn total(&self) -> Duration {
        let times = self.phases.iter().map(|time| time.ms);
        Duration::from_millis(times.fold(0, u64::saturating_add))
    }
}

/// Until 0.1.0, `previous` in `state.json` was the name of a release and not a revision.
pub(super) fn migrate(attempt: &mut Map<String, Value>) {
    let Some(Value::String(previous)) = attempt.get("previous") else {
        return;
    };
    if Revision::parse(previous).is_err() {
        let release = attempt.insert("previous".to_owned(), Value::Null);
        attempt.insert("previous_release".to_owned(), release.unwrap_or_default());
    }
}

/// An empty text is null in JSON.
mod empty_is_null {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(text: &str, to: S) -> Result<S::Ok, S::Error> {
        (!text.is_empty()).then_some(text).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
        Ok(Option::deserialize(from)?.unwrap_or_default())
    }
}
