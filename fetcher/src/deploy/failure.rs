//! How a step fails, and whose fault that is.

use thiserror::Error;

use super::journal::Phase;
use crate::health::{Cause, Illness};
use crate::state::Outcome;

/// Who has to change something before it can go better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// The revision: it is quarantined, and only a newer one is tried by itself.
    Revision,
    /// The host, the network, the configuration: the same revision is tried again.
    Environment,
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{phase}: {what}")]
pub struct Failure {
    /// The step.
    pub phase: Phase,
    /// What happened, to what, why, and what to do.
    pub what: String,
    /// Whose fault it is.
    pub class: FailureClass,
    /// How the attempt ends because of it.
    pub outcome: Outcome,
    /// For an app that is not well: the same for the same fault of two releases.
    pub key: Option<String>,
}

impl Failure {
    /// The revision is not accepted.
    pub fn refused(phase: Phase, what: impl Into<String>) -> Self {
        Self {
            phase,
            what: what.into(),
            class: FailureClass::Revision,
            outcome: Outcome::Refused,
            key: None,
        }
    }

    /// The revision failed before anything was switched.
    pub fn revision(phase: Phase, what: impl Into<String>) -> Self {
        Self {
            phase,
            what: what.into(),
            class: FailureClass::Revision,
            outcome: Outcome::Failed,
            key: None,
        }
    }

    /// Something around the revision failed before anything was switched.
    pub fn environment(phase: Phase, what: impl Into<String>) -> Self {
        Self {
            phase,
            what: what.into(),
            class: FailureClass::Environment,
            outcome: Outcome::Failed,
            key: None,
        }
    }

    /// The app is not well. What no revision can mend is not the revision's fault.
    #[must_use]
    pub fn not_well(phase: Phase, illness: Illness) -> Self {
        let failure = match illness.cause {
            Cause::App => Self::revision(phase, illness.what),
            Cause::Setup => Self::environment(phase, illness.what),
        };
        Self {
            key: Some(illness.key),
            ..failure
        }
    }

    /// We were told to stop.
    #[must_use]
    pub fn stopped(phase: Phase) -> Self {
        Self::environment(
            phase,
            "pp-fetcher was told to stop; nothing was switched, and the next poll tries again",
        )
    }
}
