//! How a child process ends, and its last output.

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

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// The standard error and the exit of a process whose output has ended.
#[derive(Debug)]
pub(crate) struct LastWords {
    /// The process's standard error, at most 16 KiB, unchanged.
    pub(crate) stderr: Vec<u8>,
    /// How the process ended; `None` if it had to be killed.
    pub(crate) exit: Option<Exit>,
}
