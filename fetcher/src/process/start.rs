//! Starting a process.

use std::io::{self, ErrorKind};
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::process::Child;

/// Between two tries to start a program that is busy.
const BUSY: Duration = Duration::from_millis(5);

/// Where the output of a process goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Standard error is heard apart from the output.
    Apart,
    /// Both come as one, as on a terminal.
    Merged,
}

/// Starts the command. Another app's thread that is just starting a process may for a moment hold the file
/// open that was written, and then that file cannot be executed (ETXTBSY): that passes.
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
