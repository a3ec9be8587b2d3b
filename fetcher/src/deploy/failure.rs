//! The failure of a step, and whether the revision or its environment is at fault.

use thiserror::Error;

use super::code::Code;
use super::step::Step;
use crate::health::{Cause, HealthFailure};
use crate::schedule::hold::Hold;
use crate::state::Outcome;

/// What has to change before another try can succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureClass {
    /// The revision: it is quarantined, and polls try only a newer revision.
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
    /// The message: the error, the thing it happened to, the reason, and the remedy.
    pub what: String,
    /// Whether the revision or its environment is at fault.
    pub class: FailureClass,
    /// The outcome of the attempt because of this failure.
    pub outcome: Outcome,
    /// The word for the failure.
    pub code: Code,
    /// For an app that is not well: a key that is equal if two releases have the same fault.
    pub key: Option<String>,
}

impl Failure {
    /// Makes the failure of a revision that is not accepted.
    pub(crate) fn refused(step: Step, what: impl Into<String>) -> Self {
        Self {
            step,
            what: what.into(),
            class: FailureClass::Revision,
            outcome: Outcome::Refused,
            code: Code::of(step),
            key: None,
        }
    }

    /// Makes a failure that is the revision's fault.
    pub(crate) fn revision(step: Step, what: impl Into<String>) -> Self {
        Self {
            step,
            what: what.into(),
            class: FailureClass::Revision,
            outcome: Outcome::Failed,
            code: Code::of(step),
            key: None,
        }
    }

    /// Makes a failure that is the fault of the revision's environment.
    pub(crate) fn environment(step: Step, what: impl Into<String>) -> Self {
        Self {
            step,
            what: what.into(),
            class: FailureClass::Environment,
            outcome: Outcome::Failed,
            code: Code::of(step),
            key: None,
        }
    }

    /// Makes the failure of an app that is not well. A fault of the setup is not held against the revision.
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

    /// Makes the failure of a step that ended because pp-fetcher was told to stop.
    #[must_use]
    pub(crate) fn stopped(step: Step) -> Self {
        let what =
            "pp-fetcher was told to stop; nothing was switched, and the next poll tries again";
        Self::environment(step, what).with_code(Code::Stopped)
    }

    /// Makes the failure of an attempt that was begun in time, and is not ready in time.
    #[must_use]
    pub(crate) fn held(step: Step, hold: &Hold) -> Self {
        let code = match hold.code {
            "frozen" => Code::Frozen,
            _ => Code::Window,
        };
        let what = format!(
            "{}; nothing was switched, and the revision is deployed when that is over",
            hold.what
        );
        Self::environment(step, what).with_code(code)
    }

    /// Gives the failure another word than that of its step.
    #[must_use]
    pub(crate) fn with_code(self, code: Code) -> Self {
        Self { code, ..self }
    }

    /// Makes the failure of a restart whose result the restarter did not report, and that never happened.
    #[must_use]
    pub(super) fn not_restarted(before: &str, unknown: &[String]) -> Self {
        let what = format!(
            "{}\n  the units were not restarted, they still run from {before}\n  \
             `systemctl status pp-restarter.service` shows what became of the restarter",
            unknown.join("\n  ")
        );
        Self::environment(Step::Probe, what)
    }

    /// Checks whether a failed way back has brought the old code up all the same: a unit that was restarted and
    /// then fails runs the old code; a unit that was not restarted still runs the new code.
    pub(super) fn has_brought_old_code_up(&self) -> bool {
        match self.step {
            Step::BackProbe => true,
            Step::BackRestart => self.class == FailureClass::Revision,
            _ => false,
        }
    }
}
