//! How a process ends, and what it leaves behind.

/// Why reading or writing was cut off by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AbortReason {
    /// The deadline has passed.
    Deadline,
    /// More bytes came than the budget allows.
    Budget,
    /// pp-fetcher was told to stop: a forge that stalls must not hold up the end of the service.
    Stopped,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// What a process left behind when it ended by itself.
#[derive(Debug)]
pub(crate) struct LastWords {
    /// Its standard error, at most 16 KiB, as it came.
    pub(crate) stderr: Vec<u8>,
    /// How it ended; none if it had to be killed.
    pub(crate) exit: Option<Exit>,
}
