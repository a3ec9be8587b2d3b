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

/// Starts the command, and retries for 2 s on ETXTBSY: another app's thread that is just starting a process
/// may for a moment hold the newly written file open, and then the file cannot be executed.
pub(super) fn start(command: Command) -> io::Result<Child> {
    let give_up = Instant::now() + Duration::from_secs(2);
    let mut command = tokio::process::Command::from(command);
    loop {
        match command.spawn() {
            Err(e) if e.kind() == ErrorKind::ExecutableFileBusy && Instant::now() < give_up => {
                std::thread::sleep(BUSY);
            }
            other => return other,
        }
    }
}
