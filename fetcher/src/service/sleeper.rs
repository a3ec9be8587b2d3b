//! Waiting between two polls, which a signal can end.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::util::sync::lock;

/// The waiting of all threads; it is ended once, for all of them.
#[derive(Debug, Default)]
pub(crate) struct Sleeper {
    over: Mutex<bool>,
    changed: Condvar,
}

impl Sleeper {
    /// Ends all waiting, now and from now on.
    pub(crate) fn end(&self) {
        *lock(&self.over) = true;
        self.changed.notify_all();
    }

    /// Waits for `time`, or until the waiting is ended. Gives whether it was ended.
    pub(crate) fn ends_within(&self, time: Duration) -> bool {
        let over = lock(&self.over);
        let waited = self.changed.wait_timeout_while(over, time, |over| !*over);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_with_its_time_or_with_the_end() {
        let rest = Sleeper::default();
        assert!(!rest.ends_within(Duration::from_millis(1)));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| rest.ends_within(Duration::from_secs(60)));
            rest.end();
            assert!(waiting.join().unwrap());
        });
        assert!(rest.ends_within(Duration::from_secs(60)));
    }
}
