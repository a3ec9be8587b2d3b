//! A child process: the way in which pp-fetcher runs other programs; only the supervisor of a script, and root becoming
//! another user, start a process by themselves.
//!
//! Each child process leads a process group of its own, has a deadline and a budget of bytes that the process
//! may write, and ends when pp-fetcher is told to stop. Whatever happens, the whole group has been sent SIGKILL
//! when the [`ChildProcess`] is dropped, and its leader is gone (rule 25).
//!
//! The methods block. Waiting for several descriptors, the clock and the end of the process at once is left to
//! tokio, on a runtime that each child process has for itself.

use std::io::{self, ErrorKind};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin};
use tokio::runtime::Runtime;
use tokio::time::sleep;

use super::ending::{AbortReason, Exit, LastWords, POLL_INTERVAL, check};
use super::start::{Output, start};

/// Most bytes of standard error that are kept. The rest is read and dropped, so that a program that writes
/// much to standard error does not block.
const MOST_HEARD: usize = 16 * 1024;

/// How long a process that has closed its output may still write to standard error before it exits.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Bytes that a pipe holds: 1 MiB, the most that an unprivileged process may set (pipe(7)).
const PIPE: i32 = 1 << 20;

/// How often the end of a process is looked for while waiting for that end.
const EXIT_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A running process.
#[derive(Debug)]
pub(crate) struct ChildProcess {
    runtime: Runtime,
    child: Child,
    pid: Pid,
    stdin: Option<ChildStdin>,
    stdout: pipe::Receiver,
    stderr: Option<pipe::Receiver>,
    heard: Vec<u8>,
    deadline: Instant,
    budget: u64,
    aborted: Option<AbortReason>,
    obeys_stop: bool,
    reaped: bool,
}

impl ChildProcess {
    /// Starts `command`; the caller has set its environment, directory and standard input.
    ///
    /// # Errors
    /// The kernel's error if `command` cannot be started.
    pub(crate) fn spawn(
        mut command: Command,
        output: Output,
        deadline: Duration,
        budget: u64,
    ) -> io::Result<Self> {
        let deadline = Instant::now() + deadline;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (ours, theirs) = io::pipe()?;
        let mut ours_err = None;
        if output == Output::Merged {
            command.stderr(theirs.try_clone()?);
        } else {
            let (ours, theirs) = io::pipe()?;
            command.stderr(theirs);
            ours_err = Some(ours);
        }
        command.stdout(theirs).process_group(0);
        let in_runtime = runtime.enter();
        let receiver = |end: io::PipeReader| pipe::Receiver::from_owned_fd(end.into());
        // A larger pipe, if the kernel allows, as the output is often large.
        let _ = fcntl(&ours, FcntlArg::F_SETPIPE_SZ(PIPE));
        let stdout = receiver(ours)?;
        let stderr = ours_err.map(receiver).transpose()?;
        // `command` holds pp-fetcher's copies of the pipes' write ends; `start` consumes it and so closes them.
        let mut child = start(command)?;
        drop(in_runtime);
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.ok_or_else(|| io::Error::other("the process has no id"))?;
        Ok(Self {
            stdin: child.stdin.take(),
            pid: Pid::from_raw(pid),
            runtime,
            child,
            stdout,
            stderr,
            heard: Vec::new(),
            deadline,
            budget,
            aborted: None,
            obeys_stop: true,
            reaped: false,
        })
    }

    /// Gives the id of the process, which is the id of its process group too.
    #[cfg(test)]
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Gives the time at which reading and writing are cut off.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Sets another time at which reading and writing are cut off.
    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Gives why pp-fetcher cut off reading or writing, if pp-fetcher did so.
    pub(crate) fn abort_reason(&self) -> Option<AbortReason> {
        self.aborted
    }

    /// Closes the process's standard input.
    pub(crate) fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Reads output of the process into `inbox`. Gives the number of bytes; 0 at the end of the output, also when
    /// the process has ended and a descendant still holds the pipe open; `None` if no byte came `within` the time.
    ///
    /// # Errors
    /// Reading was cut off ([`Self::abort_reason`]), or the kernel reports an error.
    pub(crate) fn read_within(
        &mut self,
        inbox: &mut BytesMut,
        within: Duration,
    ) -> io::Result<Option<usize>> {
        let give_up = Instant::now() + within;
        let mut ended = false;
        loop {
            self.check()?;
            let wait = self.next_look(give_up, ended);
            let Self {
                runtime,
                stdout,
                stderr,
                heard,
                ..
            } = self;
            let read = runtime.block_on(async {
                tokio::select! {
                    biased;
                    read = stdout.read_buf(inbox) => Some(read),
                    () = listen(stderr, heard) => None,
                    () = sleep(wait) => None,
                }
            });
            match read {
                None if !ended && Instant::now() >= give_up && self.exited().is_none() => {
                    return Ok(None);
                }
                Some(read) => return self.count(read?).map(Some),
                None if ended || self.reaped => return Ok(Some(0)),
                // The end is seen before the next read: all that the process wrote is in the pipe by then.
                None => ended = self.exited().is_some(),
            }
        }
    }

    /// Reads as [`Self::read_within`] does, but waits until bytes come or the output ends.
    ///
    /// # Errors
    /// The same as those of [`Self::read_within`].
    pub(crate) fn read(&mut self, inbox: &mut BytesMut) -> io::Result<usize> {
        loop {
            if let Some(count) = self.read_within(inbox, Duration::from_secs(3600))? {
                return Ok(count);
            }
        }
    }

    /// Writes all of `bytes`, and meanwhile reads output into `inbox` as long as `inbox` is shorter than `most`:
    /// so pp-fetcher and the process do not wait for each other for ever.
    ///
    /// # Errors
    /// Writing was cut off, or the process no longer reads its input.
    pub(crate) fn write_all(
        &mut self,
        mut bytes: &[u8],
        inbox: &mut BytesMut,
        most: usize,
    ) -> io::Result<()> {
        let mut closed = false;
        let mut ended = false;
        while !bytes.is_empty() {
            self.check()?;
            let wait = self.next_look(self.deadline, ended);
            let Self {
                runtime,
                stdin: Some(stdin),
                stdout,
                stderr,
                heard,
                ..
            } = self
            else {
                return Err(ErrorKind::BrokenPipe.into());
            };
            let listens = !closed && inbox.len() < most;
            let (written, read) = runtime.block_on(async {
                tokio::select! {
                    biased;
                    written = stdin.write(bytes) => (Some(written), None),
                    read = stdout.read_buf(inbox), if listens => (None, Some(read)),
                    () = listen(stderr, heard) => (None, None),
                    () = sleep(wait) => (None, None),
                }
            });
            match (written, read) {
                (Some(written), _) => bytes = bytes.get(written?..).unwrap_or_default(),
                (_, Some(read)) => closed = self.count(read?)? == 0,
                _ if ended => return Err(ErrorKind::BrokenPipe.into()),
                _ => ended = self.exited().is_some(),
            }
        }
        Ok(())
    }

    /// Waits until the process has ended, and reads its standard error meanwhile.
    ///
    /// # Errors
    /// The wait was cut off.
    pub(crate) fn wait(&mut self) -> io::Result<Exit> {
        loop {
            if let Some(exit) = self.exited() {
                return Ok(exit);
            }
            self.check()?;
            self.pause(EXIT_POLL_INTERVAL);
        }
    }

    /// Waits at most `time` until the process has ended, regardless of the deadline and of a request to stop.
    pub(crate) fn wait_until(&mut self, time: Duration) -> Option<Exit> {
        let until = Instant::now() + time;
        loop {
            match self.exited() {
                None if Instant::now() < until => self.pause(EXIT_POLL_INTERVAL),
                exit => return exit,
            }
        }
    }

    /// Gives the standard error and the exit of a process whose output has ended: waits a moment for the exit,
    /// then kills the whole group.
    pub(crate) fn last_words(&mut self) -> LastWords {
        self.stdin = None;
        let left = self.deadline.saturating_duration_since(Instant::now());
        let exit = self.wait_until(left.min(LAST_WORDS));
        // Reads what is still in the pipe, without waiting: a descendant may hold the pipe open.
        self.pause(Duration::ZERO);
        self.end();
        LastWords {
            stderr: std::mem::take(&mut self.heard),
            exit,
        }
    }

    /// Sends a signal to the whole group.
    pub(crate) fn signal(&self, signal: Signal) {
        if !self.reaped {
            // The error ESRCH only says that the group has no process left.
            let _ = killpg(self.pid, signal);
        }
    }

    /// Kills the whole group and waits until its leader is gone; another process of the group may take a moment.
    pub(crate) fn end(&mut self) {
        self.stdin = None;
        if self.reaped {
            return;
        }
        self.signal(Signal::SIGKILL);
        let _ = self.runtime.block_on(self.child.wait());
        self.reaped = true;
    }

    /// Lets the rest of the pipe be read for `time`, although the deadline has passed or pp-fetcher is to stop.
    pub(crate) fn allow_rest(&mut self, time: Duration) {
        self.deadline = Instant::now() + time;
        self.obeys_stop = false;
    }

    /// Gives how the process ended, if it has ended, without reaping it: until the process is reaped, the kernel
    /// cannot give the id of its group to another process.
    fn exited(&self) -> Option<Exit> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(self.pid), flags) {
            Ok(WaitStatus::Exited(_, code)) => Some(Exit::Code(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(Exit::Signal(signal as i32)),
            _ => None,
        }
    }

    /// Reads standard error for `time`; with a `time` of zero, only what is there already.
    fn pause(&mut self, time: Duration) {
        let Self {
            runtime,
            stderr,
            heard,
            ..
        } = self;
        runtime.block_on(async {
            let until = Instant::now() + time;
            loop {
                tokio::select! {
                    biased;
                    () = listen(stderr, heard) => {}
                    () = sleep(until.saturating_duration_since(Instant::now())) => return,
                }
            }
        });
    }

    /// Checks that reading and writing may go on: the deadline has not passed and no stop was requested.
    fn check(&mut self) -> io::Result<()> {
        match check(self.deadline) {
            Err(AbortReason::Stopped) if !self.obeys_stop => Ok(()),
            Err(reason) => Err(self.abort(reason)),
            Ok(()) => Ok(()),
        }
    }

    /// Remembers why reading or writing is cut off, and gives the error that says so.
    fn abort(&mut self, reason: AbortReason) -> io::Error {
        self.aborted = Some(reason);
        reason.into()
    }

    /// Gives how long to wait before the clock, the request to stop and the process are looked at again.
    fn next_look(&self, give_up: Instant, ended: bool) -> Duration {
        if ended {
            return Duration::ZERO;
        }
        let left = give_up.min(self.deadline);
        left.saturating_duration_since(Instant::now())
            .min(POLL_INTERVAL)
    }

    fn count(&mut self, read: usize) -> io::Result<usize> {
        match self.budget.checked_sub(read as u64) {
            Some(left) => self.budget = left,
            None => return Err(self.abort(AbortReason::Budget)),
        }
        Ok(read)
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.end();
    }
}

/// Waits for standard error and adds the bytes to `heard`. Never returns once standard error has ended.
async fn listen(stderr: &mut Option<pipe::Receiver>, heard: &mut Vec<u8>) {
    let mut chunk = [0; 4096];
    let Some(open) = stderr else {
        return std::future::pending().await;
    };
    match open.read(&mut chunk).await {
        Ok(0) | Err(_) => *stderr = None,
        Ok(n) => {
            let room = MOST_HEARD.saturating_sub(heard.len());
            heard.extend(chunk.iter().take(n.min(room)));
        }
    }
}
