//! What the restarter saw of a unit. A [`Report`] holds the facts; [`Report::outcome`] sums them up in one
//! word.

use serde::{Deserialize, Serialize};

/// How systemd's job ended (the last argument of systemd's `JobRemoved` signal).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobResult {
    /// The job succeeded.
    Done,
    /// Another job took this job's place.
    Canceled,
    /// The job took longer than the unit's own time-out.
    Timeout,
    /// The job failed; [`Report::result`] says how.
    Failed,
    /// A unit that the requested unit needs could not be started.
    Dependency,
    /// The job did not apply to the unit's state.
    Skipped,
    /// systemd reported a result that this version does not know.
    Other,
    /// The end of the job was not seen: the restarter's deadline passed, or the connection to the bus ended.
    /// The job may still run.
    Unknown,
    /// There was no job: the request was refused, see [`Report::refusal`].
    None,
}

/// Why systemd started no job, or was not asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// systemd knows no unit of this name.
    NoSuchUnit,
    /// The unit is masked.
    Masked,
    /// The name is an alias of another unit; only a unit's own name is accepted.
    Alias,
    /// The unit's file has an error.
    BadSetting,
    /// The unit's file forbids to restart it by hand (`RefuseManualStart=`).
    ManualRefused,
    /// The unit does not support the verb, or not in its present state (mostly a reload).
    NotApplicable,
    /// The system bus or systemd could not be reached.
    Unreachable,
    /// systemd refused for a reason that this version does not know.
    Other,
    /// The requested job would have cancelled another job of systemd that is under way, such as a stop of
    /// the unit or of a unit that it needs. The restarter never replaces a job that it did not start.
    StopUnderWay,
    /// The host is shutting down.
    ShuttingDown,
}

/// The `ActiveState` of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActiveState {
    /// Running.
    Active,
    /// Running, and reading its configuration again.
    Reloading,
    /// Stopped.
    Inactive,
    /// Stopped because of a failure.
    Failed,
    /// Starting.
    Activating,
    /// Stopping.
    Deactivating,
    /// The state could not be read, or this version does not know its name.
    Unknown,
}

/// What the restarter saw of one unit after one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How systemd's job ended.
    pub job: JobResult,
    /// Why there was no job, if there was none.
    pub refusal: Option<Refusal>,
    /// The unit's `ActiveState` afterwards.
    pub active: ActiveState,
    /// The unit's `SubState` afterwards, such as `running` or `auto-restart`; at most 24 bytes.
    pub sub: String,
    /// The unit's `Result` afterwards, such as `success`, `exit-code` or `start-limit-hit`; at most 24 bytes.
    pub result: String,
    /// The unit's `MainPID` afterwards; 0 if it has none.
    pub main_pid: u32,
    /// The unit's `InvocationID` before the request; zeros if it had none.
    pub invocation_before: [u8; 16],
    /// The unit's `InvocationID` afterwards.
    pub invocation: [u8; 16],
    /// Whether the unit's file has changed on disk since systemd read it: `systemctl daemon-reload` is due.
    pub needs_daemon_reload: bool,
    /// Time from when the restarter turned to systemd with the request to this report, in milliseconds.
    pub elapsed_ms: u64,
}

/// The meaning of a [`Report`], in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The unit is active, in a new invocation.
    Restarted,
    /// The unit is active, and the reload's job succeeded.
    Reloaded,
    /// systemd's job did not fail, yet the unit does not run (a condition was not met, or the unit exited).
    NotRunning,
    /// The job did not succeed, or the unit has failed.
    Failed,
    /// There was no job; [`Report::refusal`] says why.
    Refused,
    /// The end of the job, or the unit's state after it, was not seen. The report holds the state that was
    /// read last.
    Unknown,
}

impl Report {
    /// Returns the report to begin with: no job was requested and nothing was read of the unit yet.
    #[must_use]
    pub fn unseen() -> Self {
        Self {
            job: JobResult::None,
            refusal: None,
            active: ActiveState::Unknown,
            sub: String::new(),
            result: String::new(),
            main_pid: 0,
            invocation_before: [0; 16],
            invocation: [0; 16],
            needs_daemon_reload: false,
            elapsed_ms: 0,
        }
    }

    /// Returns whether the unit was starting, stopping or reloading when its state was last read.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        use ActiveState::{Activating, Deactivating, Reloading};
        matches!(self.active, Activating | Deactivating | Reloading)
    }

    /// Returns the meaning of the facts for a request to do `verb`. [`Outcome::Restarted`] requires an active
    /// unit *and* a new invocation: a finished job alone proves neither.
    #[must_use]
    pub fn outcome(&self, verb: crate::Verb) -> Outcome {
        let renewed = self.invocation != self.invocation_before && self.invocation != [0; 16];
        match (self.job, verb) {
            (JobResult::None, _) => Outcome::Refused,
            (JobResult::Unknown, _) => Outcome::Unknown,
            (JobResult::Done, crate::Verb::Restart | crate::Verb::TryRestart)
                if self.is_active() && renewed =>
            {
                Outcome::Restarted
            }
            (JobResult::Done, crate::Verb::Reload) if self.is_active() => Outcome::Reloaded,
            (JobResult::Done, _) if self.active == ActiveState::Unknown => Outcome::Unknown,
            (JobResult::Done, _) if self.left_stopped(verb) => Outcome::NotRunning,
            (JobResult::Done | JobResult::Skipped, _) if self.active != ActiveState::Failed => {
                Outcome::NotRunning
            }
            _ => Outcome::Failed,
        }
    }

    /// Returns whether a [`crate::Verb::TryRestart`] found the unit stopped and left it stopped, as it should.
    #[must_use]
    pub fn left_stopped(&self, verb: crate::Verb) -> bool {
        verb == crate::Verb::TryRestart
            && self.job == JobResult::Done
            && matches!(self.active, ActiveState::Inactive | ActiveState::Failed)
            && self.invocation == self.invocation_before
    }

    /// Returns whether the unit was running when its state was last read.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self.active, ActiveState::Active | ActiveState::Reloading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verb;

    fn report(job: JobResult, active: ActiveState, renewed: bool) -> Report {
        Report {
            job,
            refusal: None,
            active,
            sub: "running".into(),
            result: "success".into(),
            main_pid: 7,
            invocation_before: [1; 16],
            invocation: if renewed { [2; 16] } else { [1; 16] },
            needs_daemon_reload: false,
            elapsed_ms: 1,
        }
    }

    #[test]
    fn rule_18_restarted_means_active_with_a_new_invocation() {
        use ActiveState::{Activating, Active, Failed, Inactive, Unknown};
        for (job, active, renewed, expected) in [
            (JobResult::Done, Active, true, Outcome::Restarted),
            (JobResult::Done, Active, false, Outcome::NotRunning),
            (JobResult::Done, Inactive, false, Outcome::NotRunning),
            (JobResult::Done, Activating, true, Outcome::NotRunning),
            (JobResult::Done, Failed, true, Outcome::Failed),
            (JobResult::Done, Unknown, true, Outcome::Unknown),
            (JobResult::Failed, Active, true, Outcome::Failed),
            (JobResult::Timeout, Failed, true, Outcome::Failed),
            (JobResult::Canceled, Active, true, Outcome::Failed),
            (JobResult::Unknown, Active, true, Outcome::Unknown),
            (JobResult::None, Active, false, Outcome::Refused),
        ] {
            let seen = report(job, active, renewed).outcome(Verb::Restart);
            assert_eq!(seen, expected, "{job:?} {active:?} {renewed}");
        }
    }

    #[test]
    fn a_try_restart_of_a_stopped_unit_leaves_it_so() {
        use ActiveState::{Active, Failed, Inactive};
        for (active, renewed, left) in [
            (Inactive, false, true),
            (Failed, false, true),
            (Active, true, false),
            // The unit ran, was restarted and has ended since.
            (Inactive, true, false),
        ] {
            let seen = report(JobResult::Done, active, renewed);
            assert_eq!(
                seen.left_stopped(Verb::TryRestart),
                left,
                "{active:?} {renewed}"
            );
            assert!(!seen.left_stopped(Verb::Restart), "{active:?}");
            let outcome = seen.outcome(Verb::TryRestart);
            assert_eq!(
                outcome == Outcome::Restarted,
                active == Active,
                "{outcome:?}"
            );
        }
    }

    #[test]
    fn a_reload_keeps_its_invocation() {
        let seen = report(JobResult::Done, ActiveState::Active, false).outcome(Verb::Reload);
        assert_eq!(seen, Outcome::Reloaded);
    }
}
