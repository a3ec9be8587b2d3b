//! One run of a script: its own process group, a deadline, its output in a bounded log.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use thiserror::Error;

use super::environment::Environment;
use super::latest::Latest;
use super::script_supervisor;
use crate::state::open;
use crate::{space, stop};

/// Most bytes of output kept: enough for any build people read, little enough for any disk.
const LOG_LIMIT: u64 = 16 * 1024 * 1024;

/// From SIGTERM to SIGKILL.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// How often a running script is looked at. A build takes seconds; this is never what it waits for.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// What is run.
#[derive(Debug)]
pub struct Script<'a> {
    /// The program, absolute.
    pub program: PathBuf,
    /// Its working directory.
    pub directory: &'a Path,
    /// All of its environment.
    pub environment: Environment,
    /// Time after which it is ended.
    pub timeout: Duration,
    /// Where its output goes; appended to.
    pub log: &'a Path,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with success.
    Well,
    /// By itself, with this exit code.
    Exit(i32),
    /// By a signal that was not ours.
    Signal(i32),
    /// By us, after its time was over.
    TimedOut,
    /// By us, as we were told to stop.
    Stopped,
}

/// Why a script was not run.
#[derive(Debug, Error)]
pub enum RunError {
    /// The program is not there or is none.
    #[error("{0}")]
    Program(#[source] io::Error),
    /// Its log cannot be written.
    #[error("its log {}: {source}{}", path.display(), space::advice(source))]
    Log {
        /// The log.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The host has no more descriptors, processes or memory.
    #[error("{0}")]
    System(#[from] io::Error),
}

impl Script<'_> {
    /// Runs it to its end. Whatever it started and left is ended too.
    ///
    /// # Errors
    /// It could not be started, or its log not be written.
    pub fn run(&self) -> Result<Ended, RunError> {
        self.run_telling(&mut |_| ())
    }

    /// The same, and tells `tell` the latest line of its output, a few times a second at most. The
    /// script never waits for that.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_telling(&self, tell: &mut dyn FnMut(String)) -> Result<Ended, RunError> {
        let log = open::append(self.log).map_err(|source| RunError::Log {
            path: self.log.to_owned(),
            source,
        })?;
        let (reader, writer) = io::pipe()?;
        let (mut command, script_supervisor) = script_supervisor::command(&self.program)?;
        command
            .current_dir(self.directory)
            .env_clear()
            .envs(&self.environment);
        command.stdout(writer.try_clone()?).stderr(writer);
        let mut child = spawn(command.process_group(0)).map_err(RunError::Program)?;
        // The pipe ends when the script's side of it does; ours must not hold it open.
        drop(command);
        let latest = Latest::default();
        let copied = copy_in_background(latest.listen(reader), log);
        let group = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        let ended = wait(
            &mut child,
            group,
            script_supervisor.as_ref(),
            Instant::now() + self.timeout,
            &mut latest.telling(tell),
        );
        // What it left running would hold the pipe, or the release, for ever.
        let _ = killpg(group, Signal::SIGKILL);
        // A process that left the group may still hold the pipe: its output is not waited for.
        let _ = copied.recv_timeout(Duration::from_secs(1));
        Ok(match (ended?, script_supervisor) {
            (Waited::Told(why), _) => why,
            (Waited::Ended(status), None) => reading(status),
            (Waited::Ended(status), Some(ours)) => {
                reading(script_supervisor::said(ours, status).map_err(RunError::Program)?)
            }
        })
    }
}

/// Starts it. Another app's thread that is just starting a process may for a moment hold the file
/// open that we have written, and then it cannot be executed (ETXTBSY): that passes.
pub(super) fn spawn(command: &mut Command) -> io::Result<Child> {
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        match command.spawn() {
            Err(e) if e.kind() == ErrorKind::ExecutableFileBusy && Instant::now() < deadline => {
                thread::sleep(TICK);
            }
            other => return other,
        }
    }
}

/// How the wait for a process of ours ended.
enum Waited {
    Ended(ExitStatus),
    Told(Ended),
}

/// `each` is called every [`TICK`] while it runs.
fn wait(
    child: &mut Child,
    group: Pid,
    script_supervisor: Option<&UnixStream>,
    deadline: Instant,
    each: &mut dyn FnMut(),
) -> io::Result<Waited> {
    let give_up = &mut || {
        each();
        stop::stop_requested()
    };
    if let Some(status) = wait_until(child, deadline, give_up)? {
        return Ok(Waited::Ended(status));
    }
    let why = if stop::stop_requested() {
        Ended::Stopped
    } else {
        Ended::TimedOut
    };
    // A script_supervisor does the rest itself, and is only killed if it fails to.
    let grace = if script_supervisor
        .is_some_and(|mut script_supervisor| script_supervisor.write_all(b"e").is_ok())
    {
        3 * GRACE
    } else {
        let _ = killpg(group, Signal::SIGTERM);
        GRACE
    };
    if wait_until(child, Instant::now() + grace, &mut || false)?.is_none() {
        let _ = killpg(group, Signal::SIGKILL);
        child.wait()?;
    }
    Ok(Waited::Told(why))
}

fn wait_until(
    child: &mut Child,
    deadline: Instant,
    give_up: &mut dyn FnMut() -> bool,
) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline || give_up() {
            return Ok(None);
        }
        thread::sleep(TICK);
    }
}

fn reading(status: ExitStatus) -> Ended {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(0), _) => Ended::Well,
        (Some(code), _) => Ended::Exit(code),
        (None, signal) => Ended::Signal(signal.unwrap_or_default()),
    }
}

/// Copies at most [`LOG_LIMIT`] bytes and reads the rest away, so that the script never waits.
fn copy_in_background(mut from: impl Read + Send + 'static, mut to: File) -> mpsc::Receiver<()> {
    let (done, finished) = mpsc::channel();
    thread::spawn(move || {
        let kept = io::copy(&mut (&mut from).take(LOG_LIMIT), &mut to).unwrap_or_default();
        // All of it is read, so that the script never waits for us.
        let cut = io::copy(&mut from, &mut io::sink()).unwrap_or_default();
        if kept == LOG_LIMIT && cut > 0 {
            let _ = writeln!(
                to,
                "\n[{cut} more bytes of output were not kept: a log holds {LOG_LIMIT} bytes]"
            );
        }
        let _ = done.send(());
    });
    finished
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(body: &str, timeout: Duration) -> (Ended, String) {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("script");
        std::fs::write(&program, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        let log = dir.path().join("log");
        let environment = super::super::environment::clean();
        let script = Script {
            program,
            directory: dir.path(),
            environment,
            timeout,
            log: &log,
        };
        let ended = script.run().unwrap();
        (ended, std::fs::read_to_string(log).unwrap())
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn output_of_both_kinds_is_kept_and_the_end_is_told() {
        let (ended, log) = run("echo out; echo err >&2", LONG);
        assert_eq!((ended, log.as_str()), (Ended::Well, "out\nerr\n"));
        assert_eq!(run("exit 3", LONG).0, Ended::Exit(3));
        assert_eq!(run("kill -9 $$", LONG).0, Ended::Signal(9));
    }

    #[test]
    fn the_environment_is_clean_and_the_same_for_everybody() {
        let (_, log) = run("env", LONG);
        let names: Vec<_> = log.lines().filter_map(|l| l.split('=').next()).collect();
        assert!(
            names.contains(&"HOME") && names.contains(&"PATH"),
            "{names:?}"
        );
        assert!(
            !log.contains("CARGO"),
            "nothing of the caller's comes through: {log}"
        );
    }

    #[test]
    fn a_script_that_hangs_and_ignores_sigterm_ends_with_all_it_started() {
        let body = "trap '' TERM; sleep 300 & echo $!; while :; do sleep 1; done";
        let (ended, log) = run(body, Duration::from_millis(300));
        assert_eq!(ended, Ended::TimedOut);
        assert!(!alive(&log), "its child lives on: {log}");
    }

    #[test]
    fn what_a_script_leaves_in_the_background_is_ended_with_it() {
        let (ended, log) = run("sleep 300 & echo $!", LONG);
        assert_eq!(ended, Ended::Well);
        assert!(!alive(&log), "its child lives on: {log}");
    }

    #[test]
    fn endless_output_is_cut_and_does_not_stop_the_script() {
        let (ended, log) = run("head -c 50000000 /dev/zero; exit 4", LONG);
        assert_eq!(ended, Ended::Exit(4));
        assert!(log.len() < 17 * 1024 * 1024 && log.ends_with("bytes]\n"));
    }

    /// Whether the process whose id is the log's first line goes on running. One that was killed is
    /// gone soon, not at once.
    fn alive(log: &str) -> bool {
        let pid = log.lines().next().unwrap();
        let stat = format!("/proc/{pid}/stat");
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            let now = std::fs::read_to_string(&stat).unwrap_or_default();
            if now.is_empty() || now.contains(") Z ") {
                return false;
            }
            thread::sleep(TICK);
        }
        true
    }
}
