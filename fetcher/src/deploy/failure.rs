//! How a step fails, and whose fault that is.

use thiserror::Error;

use super::step::Step;
use crate::health::{Cause, HealthFailure};
use crate::state::Outcome;

/// Who has to change something before it can go better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureClass {
    /// The revision: it is quarantined, and only a newer one is tried by itself.
    Revision,
    /// The host, the network, the configuration: the same revision is tried again.
    Environment,
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{step}: {what}")]
pub(crate) struct Failure {
    /// The step.
    pub step: Step,
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
    pub(crate) fn refused(step: Step, what: impl Into<String>) -> Self {
        Self {
            step,
            what: what.into(),
            class: FailureClass::Revision,
            outcome: Outcome::Refused,
            key: None,
        }
    }

    /// The revision failed before anything was switched.
    pub(crate) fn revision(step: Step, what: impl Into<String>) -> Self {
        Self {
            step,
            what: what.into(),
            class: FailureClass::Revision,
            outcome: Outcome::Failed,
            key: None,
        }
    }

    /// Something around the revision failed before anything was switched.
    pub(crate) fn environment(step: Step, what: impl Into<String>) -> Self {
        Self {
            step,
            what: what.into(),
            class: FailureClass::Environment,
            outcome: Outcome::Failed,
            key: None,
        }
    }

    /// The app is not well. What no revision can mend is not the revision's fault.
    #[must_use]
    pub(crate) fn not_well(step: Step, illness: HealthFailure) -> Self {
        let failure = match illness.cause {
            Cause::App => Self::revision(step, illness.what),
            Cause::Setup => Self::environment(step, illness.what),
        };
        Self {
            key: Some(illness.key),
            ..failure
        }
    }

    /// We were told to stop.
    #[must_use]
    pub(crate) fn stopped(step: Step) -> Self {
        Self::environment(
            step,
            "pp-fetcher was told to stop; nothing was switched, and the next poll tries again",
        )
    }

    /// The restarter did not say what came of the restart, and nothing did.
    #[must_use]
    pub(super) fn not_restarted(before: &str, unknown: &[String]) -> Self {
        let what = format!(
            "{}\n  the units were not restarted, they still run from {before}\n  \
             `systemctl status pp-restarter.service` shows what became of the restarter",
            unknown.join("\n  ")
        );
        Self::environment(Step::Probe, what)
    }

    /// Whether a way back that did not end well has brought the old code up all the same: a unit that was
    /// restarted and fails by itself runs it, one that nobody restarted still runs the new code.
    pub(super) fn has_brought_old_code_up(&self) -> bool {
        match self.step {
            Step::BackProbe => true,
            Step::BackRestart => self.class == FailureClass::Revision,
            _ => false,
        }
    }
}
