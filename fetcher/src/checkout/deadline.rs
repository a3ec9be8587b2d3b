//! The time that a checkout may take.

use std::time::{Duration, Instant};

use super::error::CheckoutError;
use crate::stop::stop_requested;
use crate::worker::WorkerError;

/// When a checkout has to be done, and how long that was from its beginning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    time: Duration,
}

impl Deadline {
    /// Gives a deadline that is `time` from now.
    pub(super) fn after(time: Duration) -> Self {
        Self {
            at: Instant::now() + time,
            time,
        }
    }

    /// Checks that the deadline has not passed, and that pp-fetcher is not told to stop.
    ///
    /// # Errors
    /// [`CheckoutError::TimedOut`], [`WorkerError::Stopped`].
    pub(super) fn check(self) -> Result<(), CheckoutError> {
        if Instant::now() > self.at {
            return Err(CheckoutError::TimedOut(self.time));
        }
        if stop_requested() {
            let doing = "checking out";
            return Err(WorkerError::Stopped { doing }.into());
        }
        Ok(())
    }
}
