//! Starts programs of OpenSSH and git: with a clean environment, and killed by the kernel when pp-fetcher is.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::child::ChildProcess;
use super::environment::search_path;
use super::start::{Output, while_busy};

/// The program of util-linux that makes the kernel kill a program if pp-fetcher is killed (`PR_SET_PDEATHSIG`).
/// Setting that between fork and exec would need unsafe code in pp-fetcher. Without setpriv, ssh ends at its next
/// write, or by its ServerAlive limits.
const SETPRIV: &str = "/usr/bin/setpriv";

/// Starts `command` with its standard input open. The program ends with the calling thread, which must therefore
/// live as long as the program is needed.
///
/// The program's environment is HOME, PATH, `LANG=C`, the request for version 2 of git's protocol, and the
/// variables that `command` sets; nothing else.
///
/// # Errors
/// The kernel's error if the program cannot be started.
pub(crate) fn spawn(
    command: &Command,
    deadline: Duration,
    budget: u64,
) -> io::Result<ChildProcess> {
    let mut tied = prepared(command)?;
    tied.stdin(Stdio::piped());
    ChildProcess::spawn(tied, Output::Apart, deadline, budget)
}

/// Starts `command` as [`spawn`] does, in a process group of its own, with nobody to read what it prints.
///
/// # Errors
/// The kernel's error if the program cannot be started.
pub(crate) fn background(command: &Command) -> io::Result<Child> {
    let mut tied = prepared(command)?;
    tied.stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    tied.process_group(0);
    while_busy(|| tied.spawn())
}

fn prepared(command: &Command) -> io::Result<Command> {
    let mut tied = tied(command)?;
    tied.env_clear();
    tied.env("PATH", search_path());
    if let Some(home) = std::env::var_os("HOME") {
        tied.env("HOME", home);
    }
    tied.env("LANG", "C").env("GIT_PROTOCOL", "version=2");
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            tied.env(name, value);
        }
    }
    Ok(tied)
}

/// Wraps `command` so that the kernel kills it when pp-fetcher ends, if [`SETPRIV`] is installed.
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

/// Finds the path of the program, so that a missing program is told apart from a program that fails.
fn found(program: &OsStr) -> io::Result<PathBuf> {
    let path = if program.as_bytes().contains(&b'/') {
        Some(program.into()).filter(|path: &PathBuf| path.is_file())
    } else {
        let path = search_path();
        let mut places = std::env::split_paths(&path).map(|place| place.join(program));
        places.find(|place| place.is_file())
    };
    path.ok_or_else(|| io::ErrorKind::NotFound.into())
}
