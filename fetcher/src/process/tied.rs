//! Programs of OpenSSH and git: with a clean environment, and ended by the kernel when pp-fetcher is killed.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::child::ChildProcess;
use super::start::Output;

/// Makes the kernel kill the program if pp-fetcher is killed (`PR_SET_PDEATHSIG`): a program of util-linux,
/// because setting it between fork and exec would be unsafe code of ours. Without it, ssh ends when it next
/// writes, or by its ServerAlive limits.
const SETPRIV: &str = "/usr/bin/setpriv";

/// Starts `command` with its standard input open. It ends with the calling thread, which must therefore live
/// as long as the conversation.
///
/// Its environment is HOME, PATH, `LANG=C`, the wish for protocol version 2 of git, and what the command
/// itself sets; nothing else.
///
/// # Errors
/// What the kernel says if it cannot be started.
pub(crate) fn spawn(
    command: &Command,
    deadline: Duration,
    budget: u64,
) -> io::Result<ChildProcess> {
    let mut tied = tied(command)?;
    tied.env_clear();
    for name in ["HOME", "PATH"] {
        if let Some(value) = std::env::var_os(name) {
            tied.env(name, value);
        }
    }
    tied.env("LANG", "C").env("GIT_PROTOCOL", "version=2");
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            tied.env(name, value);
        }
    }
    tied.stdin(Stdio::piped());
    ChildProcess::spawn(tied, Output::Apart, deadline, budget)
}

/// `command`, run so that the kernel ends it with us where [`SETPRIV`] is there.
fn tied(command: &Command) -> io::Result<Command> {
    let program = found(command.get_program())?;
    let mut tied = if Path::new(SETPRIV).exists() {
        let mut tied = Command::new(SETPRIV);
        tied.args(["--pdeathsig", "KILL", "--"]).arg(program);
        tied
    } else {
        Command::new(program)
    };
    tied.args(command.get_args());
    Ok(tied)
}

/// Where the program is, so that one that is missing is told apart from one that fails.
fn found(program: &OsStr) -> io::Result<PathBuf> {
    let path = if program.as_bytes().contains(&b'/') {
        Some(program.into()).filter(|path: &PathBuf| path.is_file())
    } else {
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        let mut places = std::env::split_paths(&path).map(|place| place.join(program));
        places.find(|place| place.is_file())
    };
    path.ok_or_else(|| io::ErrorKind::NotFound.into())
}
