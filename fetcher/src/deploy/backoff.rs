//! Backoff: polls come less often after failures, as a forge that is down is not helped by more requests.

use std::time::Duration;

use jiff::Timestamp;

use super::code::Code;
use super::deployment::{Deployment, PassError};
use super::failure::{Failure, FailureClass};
use crate::config::App;
use crate::revision::Revision;
use crate::state::{FailedPolls, State, StateError};
use crate::stop::stop_requested;

/// Longest time between two tries, unless the app's own interval is longer.
const LONGEST: Duration = Duration::from_secs(3600);

/// Longest time between two polls of an app that has no release yet: somebody is setting it up, and waits for the
/// first one.
const LONGEST_BEFORE_THE_FIRST: Duration = Duration::from_secs(60);

/// How long somebody is taken to be setting an app up, from the first failure on.
const SET_UP: Duration = Duration::from_secs(24 * 3600);

/// What has triggered a pass: it decides what the pass may put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// The app's interval has passed; after failures the pass may wait.
    Scheduled,
    /// Somebody asks for a poll of this app now: the pass does not wait.
    Requested,
    /// Somebody wants the revision deployed, even if the app is paused or the revision is quarantined or live.
    Forced,
}

impl Trigger {
    /// The command that is recorded with an attempt, if the attempt came of a person's decision.
    pub(super) fn by(self) -> Option<&'static str> {
        (self == Self::Forced).then_some("poll --force")
    }
}

/// Gives the time between two polls of an app by the service. `state` reads the app's state, if the time depends on it;
/// a state that cannot be read changes nothing.
#[must_use]
pub(crate) fn interval(
    app: &App,
    state: impl FnOnce() -> Option<State>,
    now: Timestamp,
) -> Duration {
    let longest = app.interval.min(LONGEST_BEFORE_THE_FIRST);
    if longest < app.interval && state().is_some_and(|state| is_being_set_up(&state, now)) {
        longest
    } else {
        app.interval
    }
}

/// Whether the app has no release yet, and has not failed for a day.
fn is_being_set_up(state: &State, now: Timestamp) -> bool {
    let lately = |failed: &FailedPolls| now.duration_since(failed.since).unsigned_abs() < SET_UP;
    state.live.is_none() && state.trouble.as_ref().is_none_or(lately)
}

impl FailedPolls {
    /// Gives the time of the next scheduled pass: after the second failure in a row twice the interval later, then
    /// four times the interval and so on, at most an hour. The wait is a tenth shorter than that, so that a pass
    /// started by a timer such as cron's is not put off by a moment.
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

/// Gives the failed polls that make a scheduled pass wait now.
pub(super) fn pending_wait(deployment: &Deployment<'_>) -> Option<FailedPolls> {
    let now = (deployment.clock)();
    let waits = |t: &FailedPolls| {
        let same = t
            .configuration
            .as_ref()
            .is_none_or(|c| *c == deployment.app.fingerprint);
        // After the clock was set back, `last` is in the future: that must not make the pass wait.
        same && !is_being_set_up(&deployment.state, now)
            && t.last <= now
            && now < t.next_try(deployment.app.interval)
    };
    deployment.state.trouble.clone().filter(waits)
}

/// Counts a failure that is not the revision's fault; a stop that was requested is not counted.
fn count(deployment: &mut Deployment<'_>, failure: &Failure) {
    if stop_requested() || Code::is_of_the_time(failure.code.as_str()) {
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
        code: Some(failure.code.as_str().to_owned()),
    });
}

/// Counts a failure before any attempt could begin, and ends the pass with it.
pub(super) fn end_poll_with<T>(
    deployment: &mut Deployment<'_>,
    mut failure: Failure,
) -> Result<T, PassError> {
    count(deployment, &failure);
    // The first failure is reported first, an error of saving the state after it.
    if let Err(error) = deployment.save() {
        let and = format!("\n  and that cannot be written down: {error}");
        failure.what.push_str(&and);
    }
    Err(failure.into())
}

/// Forgets the failed polls of earlier passes. Writes to disk only if there were any.
pub(super) fn forget_failed_polls(deployment: &mut Deployment<'_>) -> Result<(), StateError> {
    match deployment.state.trouble.take() {
        Some(_) => deployment.save(),
        None => Ok(()),
    }
}

/// Quarantines the revision if the failure is its fault; otherwise counts the failure, so that polls try the
/// revision again, ever less often.
pub(super) fn quarantine_or_back_off(
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
            if let Some(held) = deployment.state.quarantined.last_mut() {
                held.code = Some(failure.code.as_str().to_owned());
            }
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
                code: None,
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

    #[test]
    fn an_app_without_a_release_is_polled_each_minute_for_a_day() {
        let failing_since = |hours: i64| FailedPolls {
            reason: "the key is not registered".into(),
            since: Timestamp::from_second(1_000_000 - hours * 3600).unwrap(),
            last: Timestamp::from_second(1_000_000).unwrap(),
            count: 9,
            configuration: None,
            code: None,
        };
        let now = Timestamp::from_second(1_000_000).unwrap();
        let mut state = State::default();
        assert!(is_being_set_up(&state, now));
        state.trouble = Some(failing_since(23));
        assert!(is_being_set_up(&state, now));
        state.trouble = Some(failing_since(25));
        assert!(!is_being_set_up(&state, now));
    }
}
