//! One delivery: what becomes of it after a try, and when it is tried again. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::store::Delivery;
use crate::targets::{Again, Fault};

/// After this time what could not be told is given up.
const GIVEN_UP: SignedDuration = SignedDuration::from_hours(24);

/// So often at least what is given up was tried: a host that was off for a day has not tried it at all.
const FEWEST_TRIES: u32 = 5;

/// After so many tries that were answered later messages go ahead.
const STEPS_ASIDE: u32 = 3;

/// The wait after the first failed try; it doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(30);

/// The longest wait between two tries.
const LONGEST: Duration = Duration::from_secs(3600);

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The target was told.
    Told,
    /// It is tried again, not before the moment that it was given.
    Again(String),
    /// It is not tried any more, as a day has passed.
    GivenUp(String),
    /// The target does not take it.
    Refused(String),
}

impl Ending {
    /// The word in the log.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Again(_) => "again",
            Self::GivenUp(_) => "given-up",
            Self::Refused(_) => "refused",
        }
    }

    /// Why the target was not told.
    pub(crate) fn why(&self) -> Option<&str> {
        match self {
            Self::Told => None,
            Self::Again(why) | Self::GivenUp(why) | Self::Refused(why) => Some(why),
        }
    }
}

/// Decides what becomes of a delivery after a try.
pub(crate) fn after_try(
    delivery: &mut Delivery,
    tried: Result<(), Fault>,
    now: Timestamp,
) -> Ending {
    let Err(fault) = tried else {
        return Ending::Told;
    };
    delivery.tries = delivery.tries.saturating_add(1);
    if fault.again == Again::Never {
        return Ending::Refused(fault.why);
    }
    // After the clock was set back, the day begins anew; after it jumped ahead, a few tries are made all the same.
    delivery.since = delivery.since.min(now);
    if now.duration_since(delivery.since) >= GIVEN_UP && delivery.tries >= FEWEST_TRIES {
        return Ending::GivenUp(fault.why);
    }
    delivery.steps_aside = fault.answered && delivery.tries >= STEPS_ASIDE;
    let doubled = FIRST
        .saturating_mul(1 << (delivery.tries - 1).min(16))
        .min(LONGEST);
    let wait = match fault.again {
        Again::After(asked) => asked.clamp(FIRST, LONGEST),
        Again::Late => LONGEST,
        _ => doubled,
    };
    delivery.not_before = now.saturating_add(wait).unwrap_or(now);
    Ending::Again(fault.why)
}

/// Whether a delivery is to be tried now. After the clock was set back, no delivery waits for the moment of before.
pub(crate) fn is_due(delivery: &Delivery, now: Timestamp) -> bool {
    now >= delivery.not_before
        || delivery.not_before.duration_since(now) > SignedDuration::from_hours(2)
}

/// Gives the place in the queue of the delivery that is tried next: the first, unless it steps aside.
pub(crate) fn next(queue: &[Delivery], now: Timestamp) -> Option<usize> {
    for (at, delivery) in queue.iter().enumerate() {
        match (is_due(delivery, now), delivery.steps_aside) {
            (true, _) => return Some(at),
            (false, true) => {}
            (false, false) => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::News;

    fn delivery() -> Delivery {
        let news = News::Digest(Vec::new(), 0);
        Delivery::new("x".into(), news, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_target_that_is_away_is_asked_less_often_and_after_a_day_no_more() {
        let mut delivery = delivery();
        let mut now = Timestamp::UNIX_EPOCH;
        let mut waits = Vec::new();
        loop {
            let away = Err(Fault::new(Again::Soon, "away"));
            match after_try(&mut delivery, away, now) {
                Ending::Again(_) => {}
                ending => break assert_eq!(ending, Ending::GivenUp("away".into())),
            }
            assert!(!is_due(&delivery, now));
            waits.push(delivery.not_before.duration_since(now).as_secs());
            now = delivery.not_before;
            assert!(is_due(&delivery, now));
        }
        assert_eq!(waits[..9], [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert!(waits.iter().sum::<i64>() >= 24 * 3600 && waits.len() < 40);
    }

    #[test]
    fn a_server_says_when_and_never_is_never() {
        let now = Timestamp::UNIX_EPOCH;
        let mut one = delivery();
        let hour = Duration::from_secs(90);
        after_try(&mut one, Err(Fault::new(Again::After(hour), "429")), now);
        assert_eq!(one.not_before.as_second(), 90);
        let week = Again::After(Duration::from_secs(7 * 86400));
        after_try(&mut one, Err(Fault::new(week, "429")), now);
        assert_eq!(one.not_before.as_second(), 3600);
        let refused = after_try(&mut one, Err(Fault::new(Again::Never, "422")), now);
        assert_eq!(refused, Ending::Refused("422".into()));
        assert_eq!(after_try(&mut one, Ok(()), now), Ending::Told);
    }
}
