//! Bounds the volume of the log, whatever callers send. A record is counted instead of written if it equals the
//! last record of the same caller, if it exceeds the caller's share, or if it exceeds the share of all callers
//! together.
//!
//! Records of restarts do not pass this limiter: that a restart was allowed, done and answered is always written.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::monitor::limit::Bucket;
use crate::policy::Limit;

/// How long, after a record was written, equal records of the same caller are only counted.
pub(crate) const SAME: Duration = Duration::from_secs(60);

/// Number of records of one caller that are written at once.
pub(crate) const SHARE: u32 = 30;

/// Number of records of all callers together that are written at once.
pub(crate) const ALL: u32 = 120;

/// Time after which one more record is written, once a share is used up.
const MORE: Duration = Duration::from_secs(2);

/// Number of callers that have an entry of their own; all others share one entry.
pub(crate) const CALLERS: usize = 256;

/// Stands in place of a uid for callers that are not told apart.
pub(crate) const UNTOLD: u32 = u32::MAX;

/// What to do with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advice {
    /// Whether to write the record.
    pub write: bool,
    /// If present: first write how many records of the caller were left out, and the text of the last of them.
    pub left_out: Option<(u32, String)>,
}

/// Creates a bucket that allows `most` records at once, then one more after each [`MORE`].
fn share(most: u32, now: Instant) -> Bucket {
    let limit = Limit {
        burst: most,
        every: MORE,
    };
    Bucket::missing(limit, now, Duration::ZERO)
}

#[derive(Debug)]
struct Caller {
    last: String,
    since: Instant,
    left_out: u32,
    share: Bucket,
}

/// Decides for each record whether it is written; remembers what was written lately for each caller.
#[derive(Debug, Default)]
pub(crate) struct LogLimiter {
    callers: HashMap<u32, Caller>,
    all: Option<Bucket>,
}

impl LogLimiter {
    /// Decides whether a record about `uid` is written. `record` is the text that is compared with the last
    /// record.
    pub(crate) fn ask(&mut self, uid: u32, record: &str, now: Instant) -> Advice {
        let all = self.all.get_or_insert_with(|| share(ALL, now));
        if self.callers.len() >= CALLERS && !self.callers.contains_key(&uid) {
            self.callers
                .retain(|_, caller| caller.left_out > 0 || !caller.share.until_full(now).is_zero());
        }
        let known = self.callers.len() < CALLERS || self.callers.contains_key(&uid);
        let uid = if known { uid } else { UNTOLD };
        let caller = self.callers.entry(uid).or_insert_with(|| Caller {
            last: String::new(),
            since: now,
            left_out: 0,
            share: share(SHARE, now),
        });
        let same = caller.last == record && now.duration_since(caller.since) < SAME;
        // A record needs a token of the caller's share and one of the share of all callers; a token is taken
        // only if both shares have one.
        let none = [&caller.share, &*all]
            .into_iter()
            .any(|share| !share.until_one(now).is_zero());
        if same || none {
            caller.left_out = caller.left_out.saturating_add(1);
            record.clone_into(&mut caller.last);
            return Advice {
                write: false,
                left_out: None,
            };
        }
        let left_out =
            (caller.left_out > 0).then(|| (caller.left_out, std::mem::take(&mut caller.last)));
        caller.last = record.to_owned();
        (caller.since, caller.left_out) = (now, 0);
        let _ = caller.share.take(now).and(all.take(now));
        Advice {
            write: true,
            left_out,
        }
    }

    /// Returns the number of callers that are remembered.
    #[must_use]
    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        self.callers.len()
    }

    /// Returns, at the end of the front, the counts that were not written yet: for each caller with records left
    /// out, the uid, their number, and the text of the last of them.
    pub(crate) fn rest(&mut self) -> Vec<(u32, u32, String)> {
        let callers = self
            .callers
            .drain()
            .filter(|(_, caller)| caller.left_out > 0);
        callers
            .map(|(uid, caller)| (uid, caller.left_out, caller.last))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_19_repeated_identical_denials_are_summarised() {
        let (mut limiter, start) = (LogLimiter::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let first = Advice {
            write: true,
            left_out: None,
        };
        assert_eq!(limiter.ask(7, "denied a", at(0)), first);
        for second in 1..50 {
            assert!(!limiter.ask(7, "denied a", at(second)).write);
        }
        assert_eq!(limiter.ask(8, "denied a", at(50)), first, "another caller");
        let next = limiter.ask(7, "denied b", at(51));
        assert_eq!(
            next,
            Advice {
                write: true,
                left_out: Some((49, "denied a".into()))
            }
        );
        assert!(
            limiter.ask(7, "denied b", at(112)).write,
            "after a minute it is news again"
        );
        assert!(limiter.rest().is_empty());
    }

    #[test]
    fn rule_19_a_flood_of_different_requests_writes_a_bounded_log() {
        let (mut limiter, start) = (LogLimiter::default(), Instant::now());
        let mut written = 0;
        for n in 0..100_000u64 {
            let now = start + Duration::from_millis(n);
            written += u32::from(limiter.ask(7, &format!("denied {n}"), now).write);
        }
        assert!((SHARE..SHARE + 52).contains(&written), "{written} in 100 s");
        let [(7, left_out, _)] = limiter.rest()[..] else {
            panic!("one caller")
        };
        assert!(left_out > 1000);
    }

    #[test]
    fn rule_38_all_callers_together_have_one_cap_and_the_table_is_bounded() {
        let (mut limiter, now) = (LogLimiter::default(), Instant::now());
        let mut written = 0;
        for uid in 0..100_000u32 {
            written += u32::from(limiter.ask(uid, &format!("denied {uid}"), now).write);
        }
        assert_eq!(written, ALL);
        assert!(
            limiter.remembered() <= CALLERS + 1,
            "{}",
            limiter.remembered()
        );
        let told: u32 = limiter.rest().iter().map(|(_, times, _)| times).sum();
        assert_eq!(told + written, 100_000, "every one is counted");
    }
}
