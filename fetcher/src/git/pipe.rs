//! The process at the other end of the conversation: its own group, a deadline, a byte budget.
//!
//! Rule 25: whatever happens, nothing of the group is left when the pipe is dropped.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::stop;

/// Most that is kept of what the process says on stderr. The rest is read and forgotten, so that a
/// process that talks much does not block.
const MOST_HEARD: usize = 16 * 1024;

/// Most that a pipe takes without blocking once it polls writable (`PIPE_BUF` on Linux).
const ATOMIC_WRITE: usize = 4096;

/// How long a process that has closed its output may take to say why and to exit.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How often it is looked whether the process has ended without closing its pipes.
const GLANCE: Duration = Duration::from_millis(100);

/// Makes the kernel kill the transport if we are killed ourselves (`PR_SET_PDEATHSIG`): a program
/// of util-linux, because setting it between fork and exec would be unsafe code of ours. Without
/// it, ssh ends when it next writes, or by its ServerAlive limits.
const TIED: &str = "/usr/bin/setpriv";

/// Why a conversation ended before it was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbortReason {
    /// The deadline has passed.
    Deadline,
    /// More bytes came than the budget allows.
    Budget,
    /// We were told to stop: a forge that stalls must not hold up the end of the service.
    Stopped,
}

/// A running transport. Reading and writing end at the deadline; reading ends at the budget.
#[derive(Debug)]
pub struct Pipe {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    stderr: Option<ChildStderr>,
    heard: Vec<u8>,
    deadline: Instant,
    left: u64,
    cut: Option<AbortReason>,
    reaped: bool,
}

/// What the process left behind when it ended by itself.
#[derive(Debug)]
pub struct LastWords {
    /// Its stderr, at most 16 KiB, as it came.
    pub stderr: Vec<u8>,
    /// Its exit code; none if a signal ended it or it had to be killed.
    pub code: Option<i32>,
}

impl Pipe {
    /// Starts `command` in a process group of its own. It ends with the calling thread, which must
    /// therefore live as long as the conversation.
    ///
    /// Its environment is HOME, PATH, `LANG=C`, the wish for protocol version 2, and what the
    /// command itself sets; nothing else.
    ///
    /// # Errors
    /// What the kernel says if it cannot be started.
    pub fn spawn(command: &Command, deadline: Duration, budget: u64) -> io::Result<Self> {
        let deadline = Instant::now() + deadline;
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
        let mut child = tied
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let Some(stdout) = stdout else {
            return Err(io::Error::other("the process has no output"));
        };
        Ok(Self {
            child,
            stdin,
            stdout,
            stderr,
            heard: Vec::new(),
            deadline,
            left: budget,
            cut: None,
            reaped: false,
        })
    }

    /// The process group, for tests that look for what is left of it.
    #[must_use]
    pub fn group(&self) -> u32 {
        self.child.id()
    }

    /// When everything ends.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Why reading or writing was cut off, if it was by us.
    #[must_use]
    pub fn cut(&self) -> Option<AbortReason> {
        self.cut
    }

    /// Tells the process that nothing more comes.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// What the process has to say when its output has ended: waits for it a moment, then ends the
    /// whole group.
    pub fn last_words(&mut self) -> LastWords {
        self.stdin = None;
        let until = self.deadline.min(Instant::now() + LAST_WORDS);
        let mut code = None;
        loop {
            if let Some(exited) = self.exited() {
                code = exited;
                // What is still in the pipe; a process that was left behind may hold it open.
                self.drain(Duration::ZERO);
                break;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            if self.stderr.is_some() {
                self.drain(left.min(Duration::from_millis(100)));
            } else {
                std::thread::sleep(left.min(Duration::from_millis(5)));
            }
        }
        self.end();
        LastWords {
            stderr: std::mem::take(&mut self.heard),
            code,
        }
    }

    /// Whether the process has ended, without reaping it: until it is reaped its group's number
    /// cannot become somebody else's.
    fn exited(&self) -> Option<Option<i32>> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(pid(&self.child)?), flags) {
            Ok(WaitStatus::Exited(_, code)) => Some(Some(code)),
            Ok(WaitStatus::Signaled(..)) => Some(None),
            _ => None,
        }
    }

    /// Reads stderr for at most `time`, or until it has nothing more to give.
    fn drain(&mut self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            let Some(stderr) = &self.stderr else { return };
            let left = until.saturating_duration_since(Instant::now());
            match wait(&[(stderr.as_fd(), PollFlags::POLLIN)], left) {
                Ok(ready) if ready.first() == Some(&true) => self.listen(),
                _ => return,
            }
        }
    }

    /// Takes what stderr has, which is known to be readable.
    fn listen(&mut self) {
        let mut chunk = [0; 4096];
        let Some(stderr) = &mut self.stderr else {
            return;
        };
        match stderr.read(&mut chunk) {
            Ok(0) | Err(_) => self.stderr = None,
            Ok(n) => {
                let room = MOST_HEARD.saturating_sub(self.heard.len());
                self.heard.extend(chunk.iter().take(n.min(room)));
            }
        }
    }

    /// Waits until the output has something, or the input has room; listens to stderr meanwhile.
    /// False if the process has ended and left nothing, though something it started may still hold
    /// the pipe open.
    fn until_ready(&mut self, write: bool) -> io::Result<bool> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.cut = Some(AbortReason::Deadline);
                self.end();
                return Err(io::ErrorKind::TimedOut.into());
            }
            if stop::stop_requested() {
                self.cut = Some(AbortReason::Stopped);
                self.end();
                return Err(io::Error::other("told to stop"));
            }
            let mut fds = Vec::with_capacity(2);
            match (&self.stdin, write) {
                (Some(stdin), true) => fds.push((stdin.as_fd(), PollFlags::POLLOUT)),
                (None, true) => return Ok(false),
                (_, false) => fds.push((self.stdout.as_fd(), PollFlags::POLLIN)),
            }
            if let Some(stderr) = &self.stderr {
                fds.push((stderr.as_fd(), PollFlags::POLLIN));
            }
            // Seen before the wait: what it wrote before it ended is then in the pipe.
            let ended = self.exited().is_some();
            let wait_for = if ended {
                Duration::ZERO
            } else {
                left.min(GLANCE)
            };
            let ready = wait(&fds, wait_for)?;
            if ready.get(1) == Some(&true) {
                self.listen();
            }
            if ready.first() == Some(&true) {
                return Ok(true);
            }
            if ended {
                return Ok(false);
            }
        }
    }

    /// Kills the whole group and reaps its leader.
    fn end(&mut self) {
        if self.reaped {
            return;
        }
        self.reaped = true;
        if let Some(group) = pid(&self.child) {
            // ESRCH only says that nobody is left.
            let _ = killpg(group, Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.end();
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.until_ready(false)? {
            return Ok(0);
        }
        let n = self.stdout.read(buffer)?;
        match self.left.checked_sub(n as u64) {
            Some(left) => self.left = left,
            None => {
                self.cut = Some(AbortReason::Budget);
                self.end();
                return Err(io::Error::other("more bytes than allowed"));
            }
        }
        Ok(n)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.until_ready(true)? {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let bytes = bytes.get(..bytes.len().min(ATOMIC_WRITE)).unwrap_or(bytes);
        match &mut self.stdin {
            Some(stdin) => stdin.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn pid(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().map(Pid::from_raw)
}

/// Polls for at most `time`; an answer for each descriptor.
fn wait(fds: &[(BorrowedFd<'_>, PollFlags)], time: Duration) -> io::Result<Vec<bool>> {
    let mut polled: Vec<_> = fds
        .iter()
        .map(|(fd, flags)| PollFd::new(*fd, *flags))
        .collect();
    // A millisecond more, so that the last part of one is not spent spinning.
    let millis = i32::try_from(time.as_millis().saturating_add(1)).unwrap_or(i32::MAX);
    let timeout = if time.is_zero() {
        PollTimeout::ZERO
    } else {
        PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
    };
    match poll(&mut polled, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    let ready = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
    Ok(polled.iter().map(ready).collect())
}

/// `command`, run so that the kernel ends it with us where [`TIED`] is there.
fn tied(command: &Command) -> io::Result<Command> {
    let program = found(command.get_program())?;
    let mut tied = if Path::new(TIED).exists() {
        let mut tied = Command::new(TIED);
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
