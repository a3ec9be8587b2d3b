//! One run of a script: its output goes to a log of bounded size, its latest line to a callback.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::BytesMut;
use nix::sys::signal::Signal;
use thiserror::Error;

use super::child::ChildProcess;
use super::ending::{AbortReason, Exit};
use super::environment::Environment;
use super::latest::Latest;
use super::script_supervisor::{self, GRACE};
use super::start::Output;
use crate::space;
use crate::state::open;

/// Most bytes of output kept in the log: enough for any build that people read, little enough for any disk.
const LOG_LIMIT: u64 = 16 * 1024 * 1024;

/// How long output may still be read after the script's process group was killed.
const LATE_OUTPUT: Duration = Duration::from_secs(1);

/// A script to run, and how to run it.
#[derive(Debug)]
pub(crate) struct Script<'a> {
    /// The program; an absolute path.
    pub program: PathBuf,
    /// The script's working directory.
    pub directory: &'a Path,
    /// The script's whole environment.
    pub environment: Environment,
    /// Time after which the script is ended.
    pub timeout: Duration,
    /// The log file; the output is appended.
    pub log: &'a Path,
}

/// How a script ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScriptEnd {
    /// By itself, with success.
    Well,
    /// By itself, with this exit code.
    Exit(i32),
    /// By a signal that pp-fetcher did not send.
    Signal(i32),
    /// By pp-fetcher, after the timeout.
    TimedOut,
    /// By pp-fetcher, which was told to stop.
    Stopped,
}

/// Why a script was not run.
#[derive(Debug, Error)]
pub(crate) enum RunError {
    /// The script's file does not exist or cannot be executed.
    #[error("{0}")]
    Program(#[source] io::Error),
    /// The script's log cannot be opened.
    #[error("its log {}: {source}{}", path.display(), space::advice(source))]
    Log {
        /// The path of the log.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Something else is in the way: the host has no more descriptors, processes or memory.
    #[error("{0}")]
    System(#[from] io::Error),
}

impl RunError {
    /// Judges why a script could not be started: only a few errors are about the script's file. Any other, such as
    /// a host without free processes or memory, is none of the script's fault.
    fn of_start(error: io::Error) -> Self {
        use nix::errno::Errno;
        let of_the_file = [
            Errno::ENOENT,
            Errno::EACCES,
            Errno::EPERM,
            Errno::ENOEXEC,
            Errno::ENOTDIR,
            Errno::EISDIR,
            Errno::ELOOP,
            Errno::ETXTBSY,
            Errno::EINVAL,
            Errno::E2BIG,
            Errno::ELIBBAD,
        ];
        match error.raw_os_error().map(Errno::from_raw) {
            Some(errno) if of_the_file.contains(&errno) => Self::Program(error),
            _ => Self::System(error),
        }
    }
}

impl Script<'_> {
    /// Runs the script to its end. Processes that the script started and left running are ended too.
    ///
    /// # Errors
    /// The script could not be started, or its log could not be opened.
    pub(crate) fn run(&self) -> Result<ScriptEnd, RunError> {
        self.run_telling(&mut |_| ())
    }

    /// Runs the script as [`Self::run`] does, and calls `tell` with the latest line of the output, a few times
    /// a second at most. The script never waits for `tell`.
    ///
    /// # Errors
    /// The same as those of [`Self::run`].
    pub(crate) fn run_telling(&self, tell: &mut dyn FnMut(String)) -> Result<ScriptEnd, RunError> {
        let log = open::append(self.log).map_err(|source| RunError::Log {
            path: self.log.to_owned(),
            source,
        })?;
        let (mut command, supervisor) = script_supervisor::command(&self.program)?;
        command
            .current_dir(self.directory)
            .env_clear()
            .envs(&self.environment);
        let child = ChildProcess::spawn(command, Output::Merged, self.timeout, u64::MAX);
        let mut running = Running {
            child: child.map_err(RunError::of_start)?,
            supervisor,
            log: ScriptLog {
                file: log,
                room: LOG_LIMIT,
                left_out: 0,
            },
        };
        let exit = running
            .copy_output(tell)
            .and_then(|()| running.child.wait());
        let aborted = running.child.abort_reason();
        if aborted.is_some() {
            running.terminate();
        }
        running.child.end();
        running.copy_late_output();
        running.log.close();
        match (aborted, exit) {
            (Some(AbortReason::Stopped), _) => Ok(ScriptEnd::Stopped),
            (Some(_), _) => Ok(ScriptEnd::TimedOut),
            (None, exit) => {
                let exit = match running.supervisor {
                    Some(ours) => script_supervisor::read_report(ours, exit?),
                    None => Ok(exit?),
                };
                Ok(exit.map_err(RunError::of_start)?.into())
            }
        }
    }
}

/// A running script.
struct Running {
    child: ChildProcess,
    /// pp-fetcher's end of the socket to the supervisor, the process between pp-fetcher and the script.
    supervisor: Option<UnixStream>,
    log: ScriptLog,
}

impl Running {
    /// Copies the output into the log until the output ends.
    fn copy_output(&mut self, tell: &mut dyn FnMut(String)) -> io::Result<()> {
        let mut inbox = BytesMut::new();
        let mut latest = Latest::default();
        loop {
            inbox.reserve(64 * 1024);
            let read = self.child.read_within(&mut inbox, super::latest::PAUSE)?;
            self.log.add(&inbox);
            latest.hear(&inbox);
            latest.tell(tell);
            inbox.clear();
            if read == Some(0) {
                return Ok(());
            }
        }
    }

    /// Asks the script to end, and waits a while for its end. A supervisor, if there is one, kills the script's
    /// processes itself, and is killed only if it fails to do so.
    fn terminate(&mut self) {
        let told = |mut supervisor: &UnixStream| supervisor.write_all(b"e").is_ok();
        let grace = if self.supervisor.as_ref().is_some_and(told) {
            3 * GRACE
        } else {
            self.child.signal(Signal::SIGTERM);
            GRACE
        };
        self.child.wait_until(grace);
    }

    /// Copies into the log the output that was still in the pipe when the script had ended.
    fn copy_late_output(&mut self) {
        let mut inbox = BytesMut::new();
        self.child.allow_rest(LATE_OUTPUT);
        while let Ok(Some(1..)) = self.child.read_within(&mut inbox, Duration::ZERO) {
            self.log.add(&inbox);
            inbox.clear();
        }
    }
}

/// The log of one run: keeps the first [`LOG_LIMIT`] bytes of the output and counts the rest.
struct ScriptLog {
    file: File,
    room: u64,
    left_out: u64,
}

impl ScriptLog {
    fn add(&mut self, bytes: &[u8]) {
        let room = usize::try_from(self.room).unwrap_or(usize::MAX);
        let (kept, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.room = self.room.saturating_sub(kept.len() as u64);
        self.left_out = self.left_out.saturating_add(rest.len() as u64);
        // A failure to write the log must not end the script.
        let _ = self.file.write_all(kept);
    }

    fn close(&mut self) {
        if self.left_out > 0 {
            let _ = writeln!(
                self.file,
                "\n[{} more bytes of output were not kept: a log holds {LOG_LIMIT} bytes]",
                self.left_out
            );
        }
    }
}

impl From<Exit> for ScriptEnd {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Code(0) => Self::Well,
            Exit::Code(code) => Self::Exit(code),
            Exit::Signal(signal) => Self::Signal(signal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn run(body: &str, timeout: Duration) -> (ScriptEnd, String) {
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
    fn only_what_is_about_the_file_is_the_scripts_fault() {
        use nix::errno::Errno;
        let of = |errno: Errno| RunError::of_start(io::Error::from_raw_os_error(errno as i32));
        for errno in [Errno::ENOENT, Errno::EACCES, Errno::ENOEXEC] {
            assert!(matches!(of(errno), RunError::Program(_)), "{errno}");
        }
        for errno in [
            Errno::EAGAIN,
            Errno::ENOMEM,
            Errno::EMFILE,
            Errno::ENFILE,
            Errno::EIO,
        ] {
            assert!(matches!(of(errno), RunError::System(_)), "{errno}");
        }
        let silent = RunError::of_start(io::Error::other("no report"));
        assert!(matches!(silent, RunError::System(_)));
    }

    #[test]
    fn output_of_both_kinds_is_kept_and_the_end_is_told() {
        let (ended, log) = run("echo out; echo err >&2", LONG);
        assert_eq!((ended, log.as_str()), (ScriptEnd::Well, "out\nerr\n"));
        assert_eq!(run("exit 3", LONG).0, ScriptEnd::Exit(3));
        assert_eq!(run("kill -9 $$", LONG).0, ScriptEnd::Signal(9));
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
        assert_eq!(ended, ScriptEnd::TimedOut);
        assert!(!alive(&log), "its child lives on: {log}");
    }

    #[test]
    fn what_a_script_leaves_in_the_background_is_ended_with_it() {
        let (ended, log) = run("sleep 300 & echo $!", LONG);
        assert_eq!(ended, ScriptEnd::Well);
        assert!(!alive(&log), "its child lives on: {log}");
    }

    #[test]
    fn endless_output_is_cut_and_does_not_stop_the_script() {
        let (ended, log) = run("head -c 50000000 /dev/zero; exit 4", LONG);
        assert_eq!(ended, ScriptEnd::Exit(4));
        assert!(log.len() < 17 * 1024 * 1024 && log.ends_with("bytes]\n"));
    }

    /// Checks whether the process whose id is the log's first line keeps running: a process that was killed
    /// takes a moment to disappear.
    fn alive(log: &str) -> bool {
        let pid = log.lines().next().unwrap();
        let stat = format!("/proc/{pid}/stat");
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            let now = std::fs::read_to_string(&stat).unwrap_or_default();
            if now.is_empty() || now.contains(") Z ") {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }
}
