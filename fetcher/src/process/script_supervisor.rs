//! The supervisor: the process between pp-fetcher and a script. The supervisor adopts every process that the
//! script leaves behind, however hidden (`setsid`, a second fork, a clean environment), and kills them all
//! before it ends: when the script has ended, when pp-fetcher says so, and when pp-fetcher is gone, even by SIGKILL.
//!
//! The supervisor is the pp-fetcher program, started again. Its standard input is a socket to pp-fetcher: a byte
//! means "end the script", end of file means that pp-fetcher is gone, and the reply is how the script ended.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM};

use super::ending::Exit;
use super::start::while_busy;

/// The first argument of a supervisor process, and of no other process.
const ARGUMENT: &str = "--supervise-script";

/// How long the supervisor keeps killing the descendants that appear after the first ones are killed.
const SWEEPING: Duration = Duration::from_secs(5);

/// The time between SIGTERM and SIGKILL.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// How often the supervisor looks at processes that it has killed.
const TICK: Duration = Duration::from_millis(10);

/// The path of the running program, valid even after a newer version has been installed in its place.
pub(crate) const SELF_EXE: &str = "/proc/self/exe";

/// Whether [`main`] was called: only then [`SELF_EXE`] is pp-fetcher, and not a test program.
static IS_PP_FETCHER: AtomicBool = AtomicBool::new(false);

/// Runs as a supervisor, if the command line says so, and gives the exit code. Otherwise gives `None`, and
/// [`command`] uses supervisors from now on.
#[must_use]
pub(crate) fn main() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != ARGUMENT) {
        IS_PP_FETCHER.store(true, Ordering::Relaxed);
        return None;
    }
    match arguments.next().map(supervise) {
        Some(Ok(())) => Some(ExitCode::SUCCESS),
        // Only pp-fetcher starts a supervisor, and pp-fetcher sees the exit code.
        _ => Some(ExitCode::FAILURE),
    }
}

/// Gives the command that runs `program`; where a supervisor is possible, the command runs `program` under a
/// supervisor, and pp-fetcher's end of the socket comes with it.
///
/// # Errors
/// The socket cannot be created.
pub(super) fn command(program: &Path) -> io::Result<(Command, Option<UnixStream>)> {
    if !IS_PP_FETCHER.load(Ordering::Relaxed) {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        return Ok((command, None));
    }
    let (ours, theirs) = UnixStream::pair()?;
    let mut command = Command::new(SELF_EXE);
    command.arg0("pp-fetcher").arg(ARGUMENT).arg(program);
    command.stdin(OwnedFd::from(theirs));
    Ok((command, Some(ours)))
}

/// Reads from the supervisor how the script ended; gives the supervisor's own `exit` if a signal ended the
/// supervisor before its report.
///
/// # Errors
/// The script could not be started, or the supervisor ended by itself without a report.
pub(super) fn read_report(mut ours: UnixStream, exit: Exit) -> io::Result<Exit> {
    let mut report = Vec::new();
    // The report is in the socket already; children of the supervisor must not keep pp-fetcher waiting.
    ours.set_nonblocking(true)?;
    let _ = ours.read_to_end(&mut report);
    let mut words = report.splitn(2, |byte| *byte == b' ');
    let kind = words.next().unwrap_or_default();
    let number = words.next().and_then(|n| std::str::from_utf8(n).ok());
    let number = number.and_then(|n| n.trim().parse().ok());
    match (kind, number) {
        (b"exit", Some(code)) => Ok(Exit::Code(code)),
        (b"signal", Some(signal)) => Ok(Exit::Signal(signal)),
        (b"error", Some(errno)) => Err(io::Error::from_raw_os_error(errno)),
        _ => match exit {
            Exit::Signal(_) => Ok(exit),
            Exit::Code(_) => Err(io::Error::other(
                "the process above the script could not do its work, and has left no report",
            )),
        },
    }
}

fn supervise(program: OsString) -> io::Result<()> {
    let mut us = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    us.set_nonblocking(true)?;
    set_child_subreaper(true)?;
    // A signal to the supervisor must not end it before the script. A handler, as children inherit ignored signals.
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::default())?;
    }
    let mut watch = Watch::new(&us)?;
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).process_group(0);
    let report = match while_busy(|| command.spawn()) {
        Ok(mut script) => {
            let status = watch.until_ended(&mut script)?;
            sweep();
            match (status.code(), status.signal()) {
                (Some(code), _) => format!("exit {code}\n"),
                (None, signal) => format!("signal {}\n", signal.unwrap_or_default()),
            }
        }
        Err(error) => format!("error {}\n", error.raw_os_error().unwrap_or_default()),
    };
    // If the write fails, pp-fetcher is gone and nobody needs the report.
    let _ = us.write_all(report.as_bytes());
    Ok(())
}

/// What a supervisor waits for.
struct Watch {
    /// The socket to pp-fetcher; `None` when pp-fetcher is gone.
    us: Option<UnixStream>,
    /// Readable when a child has ended.
    ended: UnixStream,
    /// When the script is killed.
    kill_at: Option<Instant>,
}

impl Watch {
    /// Prepares to notice every end of a child from now on.
    fn new(us: &UnixStream) -> io::Result<Self> {
        let (ended, wake) = UnixStream::pair()?;
        ended.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(SIGCHLD, wake)?;
        Ok(Self {
            us: Some(us.try_clone()?),
            ended,
            kill_at: None,
        })
    }

    /// Waits for the script's end, and ends the script if pp-fetcher asks for that or is gone.
    fn until_ended(&mut self, script: &mut Child) -> io::Result<ExitStatus> {
        let group = Pid::from_raw(i32::try_from(script.id()).unwrap_or(i32::MAX));
        loop {
            // Before the script is looked at: what ends after that wakes the next wait.
            while let Ok(1..) = self.ended.read(&mut [0; 64]) {}
            if let Some(status) = script.try_wait()? {
                return Ok(status);
            }
            self.hear(group);
            if self.kill_at.is_some_and(|at| Instant::now() >= at) {
                let _ = killpg(group, Signal::SIGKILL);
            }
            self.wait();
        }
    }

    /// Hears whether pp-fetcher has said that the script is to end, or is gone.
    fn hear(&mut self, group: Pid) {
        let Some(us) = &mut self.us else { return };
        match us.read(&mut [0]) {
            Ok(1..) => {
                let _ = killpg(group, Signal::SIGTERM);
                self.kill_at = Some(Instant::now() + GRACE);
            }
            Err(e) if [ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&e.kind()) => {}
            Ok(0) | Err(_) => (self.us, self.kill_at) = (None, Some(Instant::now())),
        }
    }

    /// Waits until a child has ended, pp-fetcher has said something, or the script is to be killed.
    fn wait(&self) {
        let until = |at: Instant| at.saturating_duration_since(Instant::now()).max(TICK);
        let time = self.kill_at.map_or(PollTimeout::NONE, |at| {
            PollTimeout::try_from(until(at)).unwrap_or(PollTimeout::MAX)
        });
        let sources = [Some(&self.ended), self.us.as_ref()];
        let mut sources: Vec<_> = sources.into_iter().flatten().map(readable).collect();
        match poll(&mut sources, time) {
            // The signal of a child's end interrupts the wait for it.
            Ok(_) | Err(Errno::EINTR) => {}
            // Whatever the error, the script must not go on without a supervisor.
            Err(_) => thread::sleep(TICK),
        }
    }
}

fn readable(stream: &UnixStream) -> PollFd<'_> {
    PollFd::new(stream.as_fd(), PollFlags::POLLIN)
}

/// Kills every descendant until there is none, or gives up after [`SWEEPING`] and names those that are left. A
/// process whose parent ends becomes the supervisor's child: whoever has no child has no descendant.
fn sweep() {
    let until = Instant::now() + SWEEPING;
    loop {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => break,
                Err(Errno::ECHILD) => return,
                Ok(_) | Err(_) => {}
            }
        }
        if Instant::now() >= until {
            // A descendant is another user's (setuid) or stuck in the kernel: say so in the attempt's log,
            // which is the supervisor's standard output.
            let _ = writeln!(
                io::stdout(),
                "[pp-fetcher: could not be ended: {:?}]",
                descendants()
            );
            return;
        }
        for pid in descendants() {
            let _ = kill(pid, Signal::SIGKILL);
        }
        thread::sleep(TICK);
    }
}

/// Lists every descendant of the supervisor.
fn descendants() -> Vec<Pid> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let all: Vec<(i32, i32)> = processes
        .filter_map(|process| {
            let pid = process.file_name().to_str()?.parse().ok()?;
            Some((pid, parent(&process.path())?))
        })
        .collect();
    let mut found = vec![nix::unistd::getpid().as_raw()];
    let mut next = 0;
    while let Some(&above) = found.get(next) {
        found.extend(
            all.iter()
                .filter(|(_, up)| *up == above)
                .map(|(pid, _)| *pid),
        );
        next += 1;
    }
    found.into_iter().skip(1).map(Pid::from_raw).collect()
}

/// Reads the parent's id from `/proc/PID/stat`; the name before it may contain any character.
fn parent(process: &Path) -> Option<i32> {
    let stat = fs::read(process.join("stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}
