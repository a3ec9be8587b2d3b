//! Keeps the log's volume bounded whatever is sent: records that are like the last one of the same
//! caller, and records beyond the caller's share, are counted instead of written.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// How long records like the last one are only counted.
pub const SAME: Duration = Duration::from_secs(60);

/// Records of one caller that are written at once.
pub const SHARE: u32 = 30;

/// Time after which one more is written.
const MORE: Duration = Duration::from_secs(2);

/// Callers remembered. Only members of one group can connect, so this is plenty.
const CALLERS: usize = 256;

/// What to do with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// Write it.
    pub write: bool,
    /// First say that so many were left out, the last of them being this.
    pub left_out: Option<(u32, String)>,
}

#[derive(Debug)]
struct Caller {
    last: String,
    since: Instant,
    left_out: u32,
    full_at: Instant,
}

/// What was written lately, for each caller.
#[derive(Debug, Default)]
pub struct Quiet {
    callers: HashMap<u32, Caller>,
}

impl Quiet {
    /// Asks about a record of `uid` that reads like `record`.
    pub fn ask(&mut self, uid: u32, record: &str, now: Instant) -> Advice {
        if self.callers.len() >= CALLERS && !self.callers.contains_key(&uid) {
            self.callers
                .retain(|_, caller| caller.left_out > 0 || caller.full_at > now);
        }
        let caller = self.callers.entry(uid).or_insert_with(|| Caller {
            last: String::new(),
            since: now,
            left_out: 0,
            full_at: now,
        });
        let same = caller.last == record && now.duration_since(caller.since) < SAME;
        let missing = caller.full_at.saturating_duration_since(now);
        if same || missing > MORE * (SHARE - 1) {
            caller.left_out = caller.left_out.saturating_add(1);
            record.clone_into(&mut caller.last);
            return Advice {
                write: false,
                left_out: None,
            };
        }
        let left_out =
            (caller.left_out > 0).then(|| (caller.left_out, std::mem::take(&mut caller.last)));
        *caller = Caller {
            last: record.to_owned(),
            since: now,
            left_out: 0,
            full_at: now + missing + MORE,
        };
        Advice {
            write: true,
            left_out,
        }
    }

    /// What is still to be said when the service ends.
    pub fn rest(&mut self) -> Vec<(u32, u32, String)> {
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
        let (mut quiet, start) = (Quiet::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let first = Advice {
            write: true,
            left_out: None,
        };
        assert_eq!(quiet.ask(7, "denied a", at(0)), first);
        for second in 1..50 {
            assert!(!quiet.ask(7, "denied a", at(second)).write);
        }
        assert_eq!(quiet.ask(8, "denied a", at(50)), first, "another caller");
        let next = quiet.ask(7, "denied b", at(51));
        assert_eq!(
            next,
            Advice {
                write: true,
                left_out: Some((49, "denied a".into()))
            }
        );
        assert!(
            quiet.ask(7, "denied b", at(112)).write,
            "after a minute it is news again"
        );
        assert!(quiet.rest().is_empty());
    }

    #[test]
    fn rule_19_a_flood_of_different_requests_writes_a_bounded_log() {
        let (mut quiet, start) = (Quiet::default(), Instant::now());
        let mut written = 0;
        for n in 0..100_000u64 {
            let now = start + Duration::from_millis(n);
            written += u32::from(quiet.ask(7, &format!("denied {n}"), now).write);
        }
        assert!((SHARE..SHARE + 52).contains(&written), "{written} in 100 s");
        let [(7, left_out, _)] = quiet.rest()[..] else {
            panic!("one caller")
        };
        assert!(left_out > 1000);
    }
}
