//! The process that stays root: it starts the process that becomes the apps' user, with a clean environment,
//! passes signals on to it, and ends with its exit code. It opens no file of the apps' user.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use super::{Account, arguments};
use crate::process::environment::PATH;
use crate::process::script_supervisor::SELF_EXE;

/// The variables of root's environment that are passed on; most of them decide how output looks.
const KEPT: [&str; 13] = [
    "TERM",
    "COLUMNS",
    "LINES",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "NO_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "JOURNAL_STREAM",
    "FAILPOINTS",
    "RUST_BACKTRACE",
];

/// Most bytes that are read of the other process's standard output.
const ANSWER: u64 = 256 * 1024;

/// Runs pp-fetcher as `account` with the arguments `words`, until it ends. Gives its exit code.
///
/// # Errors
/// The process cannot be started.
pub(crate) fn run(
    account: &Account,
    words: impl Iterator<Item = OsString>,
) -> io::Result<ExitCode> {
    let signals = listen()?;
    let child = command(account, words).spawn()?;
    let code = wait(child, signals)?;
    Ok(ExitCode::from(code))
}

/// Runs pp-fetcher as `account` with the arguments `words`. Gives what it wrote to standard output, and its
/// exit code.
///
/// # Errors
/// The process cannot be started, or its standard output cannot be read.
pub(crate) fn ask(
    account: &Account,
    words: impl Iterator<Item = OsString>,
) -> io::Result<(Vec<u8>, u8)> {
    let signals = listen()?;
    let mut child = command(account, words).stdout(Stdio::piped()).spawn()?;
    let mut answer = Vec::new();
    if let Some(out) = child.stdout.take() {
        out.take(ANSWER).read_to_end(&mut answer)?;
    }
    let code = wait(child, signals)?;
    Ok((answer, code))
}

fn command(account: &Account, words: impl Iterator<Item = OsString>) -> Command {
    let mut command = Command::new(SELF_EXE);
    command.arg0("pp-fetcher").args(arguments(account, words));
    command.env_clear();
    command.envs(
        KEPT.iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?))),
    );
    command.env("PATH", PATH).env("SHELL", "/bin/sh");
    command.env("HOME", &account.home);
    command
        .env("USER", &account.name)
        .env("LOGNAME", &account.name);
    command
}

/// Starts to catch signals. This is done before the other process is started, so that no signal ends this
/// process and leaves the other one running.
fn listen() -> io::Result<Signals> {
    Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])
}

/// Waits for the other process to end; a signal that comes meanwhile is passed on to it.
fn wait(mut child: Child, mut signals: Signals) -> io::Result<u8> {
    let handle = signals.handle();
    let pid = i32::try_from(child.id()).map(Pid::from_raw);
    let passing = std::thread::spawn(move || {
        for signal in signals.forever() {
            if let (Ok(pid), Ok(signal)) = (pid, Signal::try_from(signal)) {
                // The other process may have ended just now.
                let _ = kill(pid, signal);
            }
        }
    });
    let status = child.wait();
    handle.close();
    let _ = passing.join();
    let status = status?;
    let ended = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    Ok(ended.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
