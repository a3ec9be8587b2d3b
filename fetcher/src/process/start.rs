//! Starts a process.

use std::io::{self, ErrorKind};
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::process::Child;

/// The time between two tries to start a program whose file is busy (ETXTBSY).
const BUSY: Duration = Duration::from_millis(5);

/// Where the output of a process goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Standard output and standard error go to two pipes.
    Apart,
    /// Standard output and standard error go to one pipe, mixed as on a terminal.
    Merged,
}

/// How long a program that is busy is tried again.
const GIVE_UP: Duration = Duration::from_secs(2);

/// Starts the command.
pub(super) fn start(command: Command) -> io::Result<Child> {
    let mut command = tokio::process::Command::from(command);
    while_busy(|| command.spawn())
}

/// Calls `spawn`, and again for 2 s while the program is busy (ETXTBSY): a thread of pp-fetcher that is just starting
/// another process has for a moment, until that process executes its program, a copy of the descriptor by which a
/// newly written file is open for writing, and until then that file cannot be executed.
pub(super) fn while_busy<T>(mut spawn: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let give_up = Instant::now() + GIVE_UP;
    loop {
        match spawn() {
            Err(e) if e.kind() == ErrorKind::ExecutableFileBusy && Instant::now() < give_up => {
                std::thread::sleep(BUSY);
            }
            other => return other,
        }
    }
}
