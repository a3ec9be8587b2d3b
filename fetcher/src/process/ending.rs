//! How a child process ends, and its last output.

use std::io;
use std::time::{Duration, Instant};

use crate::stop::stop_requested;

/// Why pp-fetcher cut off reading from or writing to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AbortReason {
    /// The deadline has passed.
    Deadline,
    /// More bytes came than the budget allows.
    Budget,
    /// pp-fetcher was told to stop: a forge that stalls must not hold up the end of the service.
    Stopped,
}

/// How often a wait looks for a request to stop.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Checks that `deadline` has not passed, and that pp-fetcher was not told to stop.
///
/// # Errors
/// The reason to go no further.
pub(crate) fn check(deadline: Instant) -> Result<(), AbortReason> {
    if Instant::now() >= deadline {
        return Err(AbortReason::Deadline);
    }
    if stop_requested() {
        return Err(AbortReason::Stopped);
    }
    Ok(())
}

impl From<AbortReason> for io::Error {
    fn from(reason: AbortReason) -> Self {
        match reason {
            AbortReason::Deadline => io::ErrorKind::TimedOut.into(),
            AbortReason::Budget => Self::other("more bytes than allowed"),
            AbortReason::Stopped => Self::other("pp-fetcher was told to stop"),
        }
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// How long a program that has closed its output may still write to standard error before it exits.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(2);

/// The standard error and the exit of a process whose output has ended.
#[derive(Debug)]
pub(crate) struct LastWords {
    /// The program's standard error, at most 16 KiB, unchanged.
    pub(crate) stderr: Vec<u8>,
    /// How the program ended; `None` if it had to be killed, or its end was not told.
    pub(crate) exit: Option<Exit>,
}
