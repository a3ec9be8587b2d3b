//! How often a unit may be acted on: a token bucket, stored as the moment at which it will be full again.

use std::time::Duration;

use tokio::time::Instant;

use crate::policy::Limit;

/// The token bucket of one limit. Each request takes one token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    limit: Limit,
    full_at: Instant,
}

impl Bucket {
    /// Creates a bucket that is full again after `missing`.
    #[must_use]
    pub(crate) fn missing(limit: Limit, now: Instant, missing: Duration) -> Self {
        let full_at = now + missing;
        Self { limit, full_at }
    }

    /// Takes one token.
    ///
    /// # Errors
    /// There is no token. The error is the time after which there is one.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let wait = self.until_one(now);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.full_at = now + self.until_full(now) + self.limit.every;
        Ok(())
    }

    /// Returns the time until there is a token; zero if there is one already.
    #[must_use]
    pub(crate) fn until_one(&self, now: Instant) -> Duration {
        let Limit { burst, every } = self.limit;
        let most = every.saturating_mul(burst.saturating_sub(1));
        self.until_full(now).saturating_sub(most)
    }

    /// Returns the time until the bucket is full; zero if it is full already.
    #[must_use]
    pub(crate) fn until_full(&self, now: Instant) -> Duration {
        self.full_at.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn rule_17_three_at_once_then_one_each_fifteen_seconds() {
        let start = Instant::now();
        let mut bucket = Bucket::missing(Limit::DEFAULT, start, Duration::ZERO);
        for _ in 0..3 {
            assert_eq!(bucket.take(start), Ok(()));
        }
        assert_eq!(bucket.take(start), Err(15 * S));
        assert_eq!(bucket.take(start + 14 * S), Err(S));
        assert_eq!(bucket.take(start + 15 * S), Ok(()));
        assert_eq!(bucket.take(start + 15 * S), Err(15 * S));
        assert_eq!(bucket.until_full(start + 15 * S), 45 * S);
        assert_eq!(bucket.until_full(start + 60 * S), Duration::ZERO);
    }

    proptest! {
        /// systemd's start limit counts 5 starts in 10 s; a limit that the policy accepts never reaches that.
        #[test]
        fn rule_17_never_more_in_ten_seconds_than_the_policy_says(
            burst in 1u32..5, every in 1u64..20, steps in proptest::collection::vec(0u64..3000, 1..200),
        ) {
            let limit = Limit { burst, every: Duration::from_secs(every) };
            let mut now = Instant::now();
            let mut bucket = Bucket::missing(limit, now, Duration::ZERO);
            let mut taken = Vec::new();
            for step in steps {
                now += Duration::from_millis(step);
                if bucket.take(now).is_ok() {
                    taken.push(now);
                }
            }
            for first in &taken {
                let window = taken.iter().filter(|t| *t >= first && **t - *first < 10 * S).count();
                prop_assert!(window as u128 <= limit.in_ten_seconds());
            }
        }
    }
}
