//! What the outbox has been told of an app: an event is only written when this changes.

use jiff::Timestamp;
use pp_events::{Event, Kind};
use serde::{Deserialize, Serialize};

use crate::revision::Revision;

/// What was told last, and what is still to be written to the outbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// How many events the app has had: part of the next one's id.
    pub number: u64,
    /// The number of the last attempt that was told.
    pub attempt: u64,
    /// What is wrong with the last attempt, as it was told, and has not been told to be over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// Why polls fail, as it was told, and has not been told to be over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polls: Option<Problem>,
    /// Since when a pause is told to hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Timestamp>,
    /// The revision that is told to wait, and for what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<(Revision, String)>,
    /// Events that are told by this very state, and may not be in the outbox yet: a crash or a full disk came between.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<Event>,
}

/// Something wrong that was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The kind of its event.
    pub event: Kind,
    /// The code of the failure.
    pub code: String,
    /// The revision to whose attempt it belongs; `None` if polls fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
}
