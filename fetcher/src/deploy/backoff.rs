//! Not asking again at once what has just failed: a forge that is down is not helped by it.

use std::time::Duration;

use jiff::Timestamp;

use super::deployment::{Deployment, PassError};
use super::failure::{Failure, FailureClass};
use crate::revision::Revision;
use crate::state::{FailedPolls, StateError};
use crate::stop::stop_requested;

/// Longest time between two tries, unless the app's own interval is longer.
const LONGEST: Duration = Duration::from_secs(3600);

/// How much somebody wants a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// Its time has come; after failures it may wait.
    Scheduled,
    /// Somebody asks for this app now.
    Requested,
    /// Somebody wants it deployed, whatever stands against it.
    Forced,
}

impl FailedPolls {
    /// When a scheduled pass tries again: after the second failure in a row twice the interval, then
    /// four times, at most an hour. A tenth is let off, so that a clock like cron's does not miss
    /// its turn by a moment.
    #[must_use]
    pub fn next_try(&self, interval: Duration) -> Timestamp {
        let doublings = self.count.saturating_sub(1).min(16);
        if doublings == 0 {
            return self.last;
        }
        let wait = interval
            .saturating_mul(1 << doublings)
            .min(LONGEST.max(interval));
        self.last
            .saturating_add(wait.mul_f64(0.9))
            .unwrap_or(self.last)
    }
}

/// The trouble that a scheduled pass waits out now.
pub(super) fn pending_wait(deployment: &Deployment<'_>) -> Option<FailedPolls> {
    let now = (deployment.clock)();
    let waits = |t: &FailedPolls| {
        let same = t
            .configuration
            .as_ref()
            .is_none_or(|c| *c == deployment.app.fingerprint);
        // A clock that was set back must not make us wait for it to come round.
        same && t.last <= now && now < t.next_try(deployment.app.interval)
    };
    deployment.state.trouble.clone().filter(waits)
}

/// One more failure that is not the revision's fault; being told to stop is none.
fn count(deployment: &mut Deployment<'_>, failure: &Failure) {
    if stop_requested() {
        return;
    }
    let now = (deployment.clock)();
    let before = deployment.state.trouble.take();
    let (since, count) = before.map_or((now, 0), |t| (t.since, t.count));
    deployment.state.trouble = Some(FailedPolls {
        reason: failure.to_string(),
        since,
        last: now,
        count: count.saturating_add(1),
        configuration: Some(deployment.app.fingerprint.clone()),
    });
}

/// Counts a failure before any attempt could begin, and ends the pass with it.
pub(super) fn end_poll_with<T>(
    deployment: &mut Deployment<'_>,
    mut failure: Failure,
) -> Result<T, PassError> {
    count(deployment, &failure);
    // What went wrong first is what has to be known first.
    if let Err(error) = deployment.save() {
        let and = format!("\n  and that cannot be written down: {error}");
        failure.what.push_str(&and);
    }
    Err(failure.into())
}

/// Forgets the trouble of earlier passes. A no-op writes nothing to disk.
pub(super) fn forget_failed_polls(deployment: &mut Deployment<'_>) -> Result<(), StateError> {
    match deployment.state.trouble.take() {
        Some(_) => deployment.save(),
        None => Ok(()),
    }
}

/// A revision that is at fault is quarantined; otherwise it is tried again, ever less often.
pub(super) fn hold_against(
    deployment: &mut Deployment<'_>,
    revision: &Revision,
    failure: &Failure,
) {
    match failure.class {
        FailureClass::Environment => count(deployment, failure),
        FailureClass::Revision => {
            deployment.state.trouble = None;
            deployment.state.quarantine(
                revision,
                &failure.to_string(),
                (deployment.clock)(),
                Some(&deployment.app.fingerprint),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end_at_an_hour() {
        let minutes = |count, interval: u64| {
            let zero = Timestamp::UNIX_EPOCH;
            let trouble = FailedPolls {
                reason: String::new(),
                since: zero,
                last: zero,
                count,
                configuration: None,
            };
            trouble
                .next_try(Duration::from_secs(interval * 60))
                .as_second()
                / 60
        };
        let seen: Vec<_> = (0..8).map(|count| minutes(count, 5)).collect();
        assert_eq!(seen, [0, 0, 9, 18, 36, 54, 54, 54]);
        assert_eq!(minutes(u32::MAX, 5), 54);
        assert_eq!(minutes(5, 120), 108, "an interval over an hour is kept");
    }
}
