//! A child process: the one way in which pp-fetcher runs other programs.
//!
//! Each is the leader of a process group of its own, has a deadline, a budget of bytes that it may write,
//! and ends when pp-fetcher is told to stop. Whatever happens, nothing of the group is left when the value is
//! dropped (rule 25).
//!
//! The calls block. Waiting for several descriptors, the clock and the end of the process at once is
//! tokio's, on a runtime that the child has for itself.

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

use super::ending::{AbortReason, Exit, LastWords};
use super::start::{Output, start};
use crate::stop::stop_requested;

/// Most that is kept of standard error. The rest is read and forgotten, so that a program that talks much
/// does not block.
const MOST_HEARD: usize = 16 * 1024;

/// How long a process that has closed its output may take to say why and to exit.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Bytes that a pipe holds (1 MiB is what pipe(7) lets everybody have).
const PIPE: i32 = 1 << 20;

/// How often the stop, and an end without closed pipes, are looked for.
const GLANCE: Duration = Duration::from_millis(100);

/// How often a process that is about to end is looked at.
const SHORT_GLANCE: Duration = Duration::from_millis(5);

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
    /// Starts `command`, whose environment, directory and standard input are the caller's to choose.
    ///
    /// # Errors
    /// What the kernel says if it cannot be started.
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
        // More at a time, where the kernel lets us: what comes is often large.
        let _ = fcntl(&ours, FcntlArg::F_SETPIPE_SZ(PIPE));
        let stdout = receiver(ours)?;
        let stderr = ours_err.map(receiver).transpose()?;
        // The command holds the other ends of the pipes, and is gone when this has returned.
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

    /// The process, which leads a group of the same number.
    #[cfg(test)]
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// When reading and writing end.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Sets another time at which reading and writing end.
    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Why reading or writing was cut off, if it was by us.
    pub(crate) fn abort_reason(&self) -> Option<AbortReason> {
        self.aborted
    }

    /// Tells the process that nothing more comes.
    pub(crate) fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Adds what the process has written to `inbox`; 0 at the end of its output, and where the process has
    /// ended though something it started still holds the pipe open. `None` if nothing came `within` that time.
    ///
    /// # Errors
    /// It was cut off ([`Self::abort_reason`]), or the kernel says so.
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
                // Seen before the next look: what the process wrote before it ended is in the pipe then.
                None => ended = self.exited().is_some(),
            }
        }
    }

    /// As [`Self::read_within`], for as long as it takes.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn read(&mut self, inbox: &mut BytesMut) -> io::Result<usize> {
        loop {
            if let Some(count) = self.read_within(inbox, Duration::from_secs(3600))? {
                return Ok(count);
            }
        }
    }

    /// Writes all of `bytes`, and adds to `inbox` what comes meanwhile, as long as that is shorter than `most`:
    /// so neither waits for the other for ever.
    ///
    /// # Errors
    /// It was cut off, or the process does not listen any more.
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

    /// Waits until the process has ended, and hears its standard error meanwhile.
    ///
    /// # Errors
    /// It was cut off.
    pub(crate) fn wait(&mut self) -> io::Result<Exit> {
        loop {
            if let Some(exit) = self.exited() {
                return Ok(exit);
            }
            self.check()?;
            self.pause(SHORT_GLANCE);
        }
    }

    /// Waits until the process has ended, whatever else comes, at most `time`.
    pub(crate) fn wait_until(&mut self, time: Duration) -> Option<Exit> {
        let until = Instant::now() + time;
        loop {
            match self.exited() {
                None if Instant::now() < until => self.pause(SHORT_GLANCE),
                exit => return exit,
            }
        }
    }

    /// What the process has to say when its output has ended: waits for it a moment, then ends the whole
    /// group.
    pub(crate) fn last_words(&mut self) -> LastWords {
        self.stdin = None;
        let left = self.deadline.saturating_duration_since(Instant::now());
        let exit = self.wait_until(left.min(LAST_WORDS));
        // What is still in the pipe; a process that was left behind may hold it open.
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
            // ESRCH only says that nobody is left.
            let _ = killpg(self.pid, signal);
        }
    }

    /// Kills the whole group and waits until its leader is gone: from then on nobody writes where it could.
    pub(crate) fn end(&mut self) {
        self.stdin = None;
        if self.reaped {
            return;
        }
        self.signal(Signal::SIGKILL);
        let _ = self.runtime.block_on(self.child.wait());
        self.reaped = true;
    }

    /// Lets what is left in the pipe be read although the deadline has passed or pp-fetcher is to stop.
    pub(crate) fn allow_rest(&mut self, time: Duration) {
        self.deadline = Instant::now() + time;
        self.obeys_stop = false;
    }

    /// Whether the process has ended, without reaping it: until it is reaped the number of its group cannot
    /// become somebody else's.
    fn exited(&self) -> Option<Exit> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(self.pid), flags) {
            Ok(WaitStatus::Exited(_, code)) => Some(Exit::Code(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(Exit::Signal(signal as i32)),
            _ => None,
        }
    }

    /// Hears standard error for `time`, or takes what is there.
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

    /// Whether reading and writing may go on.
    fn check(&mut self) -> io::Result<()> {
        if Instant::now() >= self.deadline {
            self.aborted = Some(AbortReason::Deadline);
            return Err(ErrorKind::TimedOut.into());
        }
        if self.obeys_stop && stop_requested() {
            self.aborted = Some(AbortReason::Stopped);
            return Err(io::Error::other("pp-fetcher was told to stop"));
        }
        Ok(())
    }

    /// How long to wait before the next look at the clock, the stop and the process.
    fn next_look(&self, give_up: Instant, ended: bool) -> Duration {
        if ended {
            return Duration::ZERO;
        }
        let left = give_up.min(self.deadline);
        left.saturating_duration_since(Instant::now()).min(GLANCE)
    }

    fn count(&mut self, read: usize) -> io::Result<usize> {
        match self.budget.checked_sub(read as u64) {
            Some(left) => self.budget = left,
            None => {
                self.aborted = Some(AbortReason::Budget);
                return Err(io::Error::other("more bytes than allowed"));
            }
        }
        Ok(read)
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.end();
    }
}

/// Adds to what was heard; returns when something came. Never, once standard error has ended.
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
