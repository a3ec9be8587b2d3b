//! What the restarter saw of a unit: facts, and one reading of them.

use serde::{Deserialize, Serialize};

/// What systemd said of the job it ran (`JobRemoved`'s last argument).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobResult {
    /// The job ended as it should.
    Done,
    /// Another job took its place.
    Canceled,
    /// It took longer than the unit's own time-out.
    Timeout,
    /// It failed; the unit's `result` tells how.
    Failed,
    /// A unit this one needs could not be started.
    Dependency,
    /// It did not apply to the unit's state.
    Skipped,
    /// systemd gave a word this version does not know.
    Other,
    /// The end was not seen: our deadline passed, or the bus went away. The job may still run.
    Unknown,
    /// There was no job: the call was refused, see [`Report::refusal`].
    None,
}

/// Why no job was started.
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
    /// A unit that must not be restarted by hand (`RefuseManualStart=`).
    ManualRefused,
    /// The unit cannot do this (a reload, mostly).
    NotApplicable,
    /// The system bus or systemd could not be reached.
    Unreachable,
    /// systemd refused in words this version does not know.
    Other,
    /// Another job of systemd's is under way that this one would have cancelled: somebody stops the unit, or
    /// one that it needs. A job of somebody else's is never replaced.
    StopUnderWay,
    /// The host is shutting down.
    ShuttingDown,
}

/// `ActiveState` of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActiveState {
    /// Running.
    Active,
    /// Running, and reading its configuration again.
    Reloading,
    /// Stopped.
    Inactive,
    /// Stopped, and not as it should.
    Failed,
    /// Starting.
    Activating,
    /// Stopping.
    Deactivating,
    /// Could not be read, or a word this version does not know.
    Unknown,
}

/// What was seen of one unit after one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How the job ended.
    pub job: JobResult,
    /// Why there was no job, if there was none.
    pub refusal: Option<Refusal>,
    /// The unit's `ActiveState` afterwards.
    pub active: ActiveState,
    /// Its `SubState`, such as `running` or `auto-restart`; at most 24 bytes.
    pub sub: String,
    /// Its `Result`, such as `success`, `exit-code` or `start-limit-hit`; at most 24 bytes.
    pub result: String,
    /// Its `MainPID`; 0 where there is none.
    pub main_pid: u32,
    /// Its `InvocationID` before the request; zeros where there was none.
    pub invocation_before: [u8; 16],
    /// Its `InvocationID` afterwards.
    pub invocation: [u8; 16],
    /// Its file changed on disk since systemd read it: `systemctl daemon-reload` is due.
    pub needs_daemon_reload: bool,
    /// From the request's arrival at systemd to this report, in milliseconds.
    pub elapsed_ms: u64,
}

/// One word for a [`Report`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Active, in a new invocation.
    Restarted,
    /// Active, and the reload's job ended well.
    Reloaded,
    /// systemd's job ended well, yet the unit does not run (a condition was not met, or it exited).
    NotRunning,
    /// It failed.
    Failed,
    /// It was refused.
    Refused,
    /// Nobody can say; the state is what it was when last looked at.
    Unknown,
}

impl Report {
    /// Nothing was asked for and nothing was seen yet.
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

    /// Whether the unit was on its way from one state to another when it was last looked at.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        use ActiveState::{Activating, Deactivating, Reloading};
        matches!(self.active, Activating | Deactivating | Reloading)
    }

    /// Reads the facts. `Restarted` demands an active unit *and* a new invocation: a finished job
    /// alone proves neither.
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

    /// Whether a [`crate::Verb::TryRestart`] found the unit stopped and left it so, as it should.
    #[must_use]
    pub fn left_stopped(&self, verb: crate::Verb) -> bool {
        verb == crate::Verb::TryRestart
            && self.job == JobResult::Done
            && matches!(self.active, ActiveState::Inactive | ActiveState::Failed)
            && self.invocation == self.invocation_before
    }

    /// Whether the unit was running when it was last looked at.
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
            // It ran, was restarted and has ended since.
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
