//! The standard input, standard output and standard error of another program, as pp-fetcher holds their other ends:
//! with a deadline and a budget of bytes, and cut off when pp-fetcher is told to stop.
//!
//! The methods block. Waiting for several descriptors and the clock at once is left to tokio, on a runtime that each
//! program has for itself.

use std::io::{self, ErrorKind, PipeReader};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use nix::fcntl::{FcntlArg, fcntl};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::runtime::Runtime;
use tokio::time::sleep;

use super::ending::{AbortReason, LAST_WORDS, POLL_INTERVAL, check};

/// Most bytes of standard error that are kept. The rest is read and dropped, so that a program that writes
/// much to standard error does not block.
const MOST_HEARD: usize = 16 * 1024;

/// Bytes that a pipe holds: 1 MiB, the most that an unprivileged process may set (pipe(7)).
const PIPE: i32 = 1 << 20;

/// Makes a runtime that waits for descriptors, the clock and processes, on the thread that waits.
///
/// # Errors
/// The kernel's error.
pub(crate) fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// The other ends of a program's standard streams.
#[derive(Debug)]
pub(crate) struct Streams {
    runtime: Runtime,
    input: Option<pipe::Sender>,
    output: pipe::Receiver,
    errors: Option<pipe::Receiver>,
    heard: Vec<u8>,
    deadline: Instant,
    budget: u64,
    aborted: Option<AbortReason>,
    obeys_stop: bool,
}

impl Streams {
    /// Takes the ends of the pipes from which the program's output and errors come, on a runtime of their own.
    ///
    /// # Errors
    /// The kernel's error.
    pub(crate) fn new(
        runtime: Runtime,
        output: PipeReader,
        errors: Option<PipeReader>,
        deadline: Instant,
        budget: u64,
    ) -> io::Result<Self> {
        // A larger pipe, if the kernel allows, as the output is often large.
        let _ = fcntl(&output, FcntlArg::F_SETPIPE_SZ(PIPE));
        let in_runtime = runtime.enter();
        let receiver = |end: PipeReader| pipe::Receiver::from_owned_fd(end.into());
        let (output, errors) = (receiver(output)?, errors.map(receiver).transpose()?);
        drop(in_runtime);
        Ok(Self {
            runtime,
            input: None,
            output,
            errors,
            heard: Vec::new(),
            deadline,
            budget,
            aborted: None,
            obeys_stop: true,
        })
    }

    /// Calls `start` where the runtime that the streams are on is the current one.
    pub(super) fn in_runtime<T>(&self, start: impl FnOnce() -> T) -> T {
        let _in_runtime = self.runtime.enter();
        start()
    }

    /// Waits for `wanted` alone.
    pub(super) fn block_on<T>(&self, wanted: impl Future<Output = T>) -> T {
        self.runtime.block_on(wanted)
    }

    /// Takes the end of the pipe that is the program's standard input.
    ///
    /// # Errors
    /// The kernel's error.
    pub(crate) fn set_input(&mut self, input: impl Into<OwnedFd>) -> io::Result<()> {
        let _in_runtime = self.runtime.enter();
        self.input = Some(pipe::Sender::from_owned_fd(input.into())?);
        Ok(())
    }

    /// Closes the program's standard input.
    pub(crate) fn close_input(&mut self) {
        self.input = None;
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

    /// Lets the rest of the pipe be read for `time`, although the deadline has passed or pp-fetcher is to stop.
    pub(crate) fn allow_rest(&mut self, time: Duration) {
        self.deadline = Instant::now() + time;
        self.obeys_stop = false;
    }

    /// Closes the input of a program whose output has ended, and gives how long its exit may be waited for.
    pub(crate) fn begin_last_words(&mut self) -> Duration {
        self.close_input();
        let left = self.deadline.saturating_duration_since(Instant::now());
        left.min(LAST_WORDS)
    }

    /// Takes what was heard on standard error, with what is there now: nobody waits for more.
    pub(crate) fn take_heard(&mut self) -> Vec<u8> {
        self.wait_for(std::future::pending::<()>(), Duration::ZERO);
        std::mem::take(&mut self.heard)
    }

    /// Reads output into `inbox`. Gives the number of bytes; 0 at the end of the output, also when the program
    /// `has_ended` and another process still holds the pipe open; `None` if no byte came `within` the time.
    ///
    /// # Errors
    /// Reading was cut off ([`Self::abort_reason`]), or the kernel reports an error.
    pub(crate) fn read_within(
        &mut self,
        inbox: &mut BytesMut,
        within: Duration,
        has_ended: &dyn Fn() -> bool,
    ) -> io::Result<Option<usize>> {
        let give_up = Instant::now() + within;
        let mut ended = false;
        loop {
            self.check()?;
            let wait = self.next_look(give_up, ended);
            let Self {
                runtime,
                output,
                errors,
                heard,
                ..
            } = self;
            let read = runtime.block_on(async {
                tokio::select! {
                    biased;
                    read = output.read_buf(inbox) => Some(read),
                    () = listen(errors, heard) => None,
                    () = sleep(wait) => None,
                }
            });
            match read {
                None if !ended && Instant::now() >= give_up && !has_ended() => return Ok(None),
                Some(read) => return self.count(read?).map(Some),
                None if ended => return Ok(Some(0)),
                // The end is seen before the next read: all that the program wrote is in the pipe by then.
                None => ended = has_ended(),
            }
        }
    }

    /// Reads as [`Self::read_within`] does, but waits until bytes come or the output ends.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn read(
        &mut self,
        inbox: &mut BytesMut,
        has_ended: &dyn Fn() -> bool,
    ) -> io::Result<usize> {
        loop {
            let read = self.read_within(inbox, Duration::from_secs(3600), has_ended)?;
            if let Some(count) = read {
                return Ok(count);
            }
        }
    }

    /// Writes all of `bytes`, and meanwhile reads output into `inbox` as long as `inbox` is shorter than `most`:
    /// so pp-fetcher and the program do not wait for each other for ever.
    ///
    /// # Errors
    /// Writing was cut off, or the program no longer reads its input.
    pub(crate) fn write_all(
        &mut self,
        mut bytes: &[u8],
        inbox: &mut BytesMut,
        most: usize,
        has_ended: &dyn Fn() -> bool,
    ) -> io::Result<()> {
        let mut closed = false;
        let mut ended = false;
        while !bytes.is_empty() {
            self.check()?;
            let wait = self.next_look(self.deadline, ended);
            let Self {
                runtime,
                input: Some(input),
                output,
                errors,
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
                    written = input.write(bytes) => (Some(written), None),
                    read = output.read_buf(inbox), if listens => (None, Some(read)),
                    () = listen(errors, heard) => (None, None),
                    () = sleep(wait) => (None, None),
                }
            });
            match (written, read) {
                (Some(written), _) => bytes = bytes.get(written?..).unwrap_or_default(),
                (_, Some(read)) => closed = self.count(read?)? == 0,
                _ if ended => return Err(ErrorKind::BrokenPipe.into()),
                _ => ended = has_ended(),
            }
        }
        Ok(())
    }

    /// Waits for `wanted`, and reads standard error meanwhile; `None` after `time`, however much comes there. With a `time`
    /// of zero, what is there already is read, as far as it is kept.
    pub(crate) fn wait_for<T>(
        &mut self,
        wanted: impl Future<Output = T>,
        time: Duration,
    ) -> Option<T> {
        let Self {
            runtime,
            errors,
            heard,
            ..
        } = self;
        runtime.block_on(async {
            tokio::pin!(wanted);
            let until = Instant::now() + time;
            loop {
                tokio::select! {
                    biased;
                    got = &mut wanted => return Some(got),
                    () = listen(errors, heard) => {}
                    () = sleep(until.saturating_duration_since(Instant::now())) => return None,
                }
                // Where bytes come without end, the clock above is never asked.
                if Instant::now() >= until && heard.len() >= MOST_HEARD {
                    return None;
                }
            }
        })
    }

    /// Checks that reading and writing may go on: the deadline has not passed and no stop was requested.
    ///
    /// # Errors
    /// The reason for which they may not, which is remembered.
    pub(crate) fn check(&mut self) -> io::Result<()> {
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

    /// Gives how long to wait before the clock, the request to stop and the program are looked at again.
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

/// Waits for standard error and adds the bytes to `heard`. Never returns once standard error has ended.
async fn listen(errors: &mut Option<pipe::Receiver>, heard: &mut Vec<u8>) {
    let mut chunk = [0; 4096];
    let Some(open) = errors else {
        return std::future::pending().await;
    };
    match open.read(&mut chunk).await {
        Ok(0) | Err(_) => *errors = None,
        Ok(n) => {
            let room = MOST_HEARD.saturating_sub(heard.len());
            heard.extend(chunk.iter().take(n.min(room)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn streams() -> (Streams, io::PipeWriter) {
        let (output, _) = io::pipe().unwrap();
        let (errors, their_errors) = io::pipe().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let streams = Streams::new(runtime().unwrap(), output, Some(errors), deadline, 1000);
        (streams.unwrap(), their_errors)
    }

    #[test]
    fn what_is_there_of_standard_error_is_read_and_no_more_than_is_kept() {
        let (mut streams, mut theirs) = streams();
        theirs.write_all(&[b'x'; 10_000]).unwrap();
        let got = streams.wait_for(std::future::pending::<()>(), Duration::ZERO);
        assert_eq!((got, streams.take_heard().len()), (None, 10_000));
    }

    #[test]
    fn rule_25_standard_error_without_end_holds_nobody_up() {
        let (mut streams, mut theirs) = streams();
        // Ends when the other end is closed.
        std::thread::spawn(move || while theirs.write_all(&[b'x'; 4096]).is_ok() {});
        for time in [Duration::ZERO, Duration::from_millis(50)] {
            let got = streams.wait_for(std::future::pending::<()>(), time);
            assert_eq!(got, None);
        }
        assert_eq!(streams.take_heard().len(), MOST_HEARD);
        let got = streams.wait_for(std::future::ready(7), Duration::from_millis(50));
        assert_eq!(got, Some(7));
    }
}
