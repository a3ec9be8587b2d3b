//! Which app's poll is due next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// The polls to come: of each app that is not being polled, the moment of its next poll.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    to_come: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Schedule {
    /// Plans the next poll of the app with this number.
    pub(super) fn add(&mut self, app: usize, due: Instant) {
        self.to_come.push(Reverse((due, app)));
    }

    /// Takes the app whose poll has been due for the longest time, if any is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<usize> {
        if self.next()? > now {
            return None;
        }
        self.to_come.pop().map(|Reverse((_, app))| app)
    }

    /// The moment of the next poll; `None` if no app waits.
    pub(super) fn next(&self) -> Option<Instant> {
        self.to_come.peek().map(|Reverse((due, _))| *due)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn apps_come_in_the_order_in_which_they_are_due_and_not_before() {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let mut schedule = Schedule::default();
        assert_eq!(schedule.next(), None);
        for (app, seconds) in [(0, 30), (1, 10), (2, 20)] {
            schedule.add(app, after(seconds));
        }
        assert_eq!(schedule.next(), Some(after(10)));
        assert_eq!(schedule.take_due(after(9)), None);
        assert_eq!(schedule.take_due(after(25)), Some(1));
        assert_eq!(schedule.take_due(after(25)), Some(2));
        assert_eq!(schedule.take_due(after(25)), None);
        schedule.add(1, after(26));
        assert_eq!(
            schedule.next(),
            Some(after(26)),
            "a later plan that is due earlier"
        );
    }
}
