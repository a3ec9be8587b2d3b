//! A child process: the way in which pp-fetcher runs other programs; only the supervisor of a script, and root becoming
//! another user, start a process by themselves.
//!
//! Each child process leads a process group of its own, has a deadline and a budget of bytes that the process
//! may write, and ends when pp-fetcher is told to stop. Whatever happens, the whole group has been sent SIGKILL
//! when the [`ChildProcess`] is dropped, and its leader is gone (rule 25). The methods block.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use tokio::process::Child;

use super::ending::{AbortReason, Exit, LastWords};
use super::start::{Output, start};
use super::streams::{Streams, runtime};

/// The time between the first two looks at a process that is to end, as most are about to end; each is twice as long as
/// the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// The longest time between two such looks.
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// A running process.
#[derive(Debug)]
pub(crate) struct ChildProcess {
    streams: Streams,
    child: Child,
    pid: Pid,
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
        let mut streams = Streams::new(runtime()?, ours, ours_err, deadline, budget)?;
        // `command` holds pp-fetcher's copies of the pipes' write ends; `start` consumes it and so closes them.
        let mut child = streams.in_runtime(|| start(command))?;
        if let Some(input) = child.stdin.take() {
            streams.set_input(input.into_owned_fd()?)?;
        }
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.ok_or_else(|| io::Error::other("the process has no id"))?;
        Ok(Self {
            streams,
            child,
            pid: Pid::from_raw(pid),
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
        self.streams.deadline()
    }

    /// Sets another time at which reading and writing are cut off.
    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.streams.set_deadline(deadline);
    }

    /// Gives why pp-fetcher cut off reading or writing, if pp-fetcher did so.
    pub(crate) fn abort_reason(&self) -> Option<AbortReason> {
        self.streams.abort_reason()
    }

    /// Reads output of the process: [`Streams::read_within`].
    ///
    /// # Errors
    /// The same.
    pub(crate) fn read_within(
        &mut self,
        inbox: &mut BytesMut,
        within: Duration,
    ) -> io::Result<Option<usize>> {
        let has_ended = self.end_check();
        self.streams.read_within(inbox, within, &has_ended)
    }

    /// Reads as [`Self::read_within`] does, but waits until bytes come or the output ends.
    ///
    /// # Errors
    /// The same as those of [`Self::read_within`].
    pub(crate) fn read(&mut self, inbox: &mut BytesMut) -> io::Result<usize> {
        let has_ended = self.end_check();
        self.streams.read(inbox, &has_ended)
    }

    /// Writes all of `bytes` to the process: [`Streams::write_all`].
    ///
    /// # Errors
    /// The same.
    pub(crate) fn write_all(
        &mut self,
        bytes: &[u8],
        inbox: &mut BytesMut,
        most: usize,
    ) -> io::Result<()> {
        let has_ended = self.end_check();
        self.streams.write_all(bytes, inbox, most, &has_ended)
    }

    /// Closes the process's standard input.
    pub(crate) fn close_input(&mut self) {
        self.streams.close_input();
    }

    /// Waits until the process has ended, and reads its standard error meanwhile.
    ///
    /// # Errors
    /// The wait was cut off.
    pub(crate) fn wait(&mut self) -> io::Result<Exit> {
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(exit) = self.exited() {
                return Ok(exit);
            }
            self.streams.check()?;
            self.pause(&mut pause);
        }
    }

    /// Waits at most `time` until the process has ended, regardless of the deadline and of a request to stop.
    pub(crate) fn wait_until(&mut self, time: Duration) -> Option<Exit> {
        let until = Instant::now() + time;
        let mut pause = FIRST_PAUSE;
        loop {
            match self.exited() {
                None if Instant::now() < until => self.pause(&mut pause),
                exit => return exit,
            }
        }
    }

    /// Gives the standard error and the exit of a process whose output has ended: waits a moment for the exit,
    /// then kills the whole group.
    pub(crate) fn last_words(&mut self) -> LastWords {
        let time = self.streams.begin_last_words();
        let exit = self.wait_until(time);
        // Without waiting for more: a descendant may hold the pipe open.
        let stderr = self.streams.take_heard();
        self.end();
        LastWords { stderr, exit }
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
        self.streams.close_input();
        if self.reaped {
            return;
        }
        self.signal(Signal::SIGKILL);
        let _ = self.streams.block_on(self.child.wait());
        self.reaped = true;
    }

    /// Lets the rest of the output be read: [`Streams::allow_rest`].
    pub(crate) fn allow_rest(&mut self, time: Duration) {
        self.streams.allow_rest(time);
    }

    /// Gives how the process ended, if it has ended, without reaping it: until the process is reaped, the kernel
    /// cannot give the id of its group to another process.
    fn exited(&self) -> Option<Exit> {
        exit_of(self.pid)
    }

    /// Gives the check whether the process has ended, for reading and writing.
    fn end_check(&self) -> impl Fn() -> bool + use<> {
        let (pid, reaped) = (self.pid, self.reaped);
        move || reaped || exit_of(pid).is_some()
    }

    /// Reads standard error for `time`, and makes the next pause longer.
    fn pause(&mut self, time: &mut Duration) {
        self.streams.wait_for(std::future::pending::<()>(), *time);
        *time = LONGEST_PAUSE.min(*time * 2);
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.end();
    }
}

/// How a process that was not reaped has ended; `None` if it runs.
fn exit_of(pid: Pid) -> Option<Exit> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Id::Pid(pid), flags) {
        Ok(WaitStatus::Exited(_, code)) => Some(Exit::Code(code)),
        Ok(WaitStatus::Signaled(_, signal, _)) => Some(Exit::Signal(signal as i32)),
        _ => None,
    }
}
