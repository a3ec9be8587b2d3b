//! The worker's process as we hold it: its own group, deadlines, bounded ears.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::error::WorkerError;
use super::protocol::{self, HEAD, Kind, MOST_BYTES};
use crate::git::text;

/// Most that is kept of what it says on stderr.
const MOST_HEARD: usize = 4096;

/// How long a worker may take to end when it is told that nothing more comes.
const FAREWELL: Duration = Duration::from_secs(2);

/// A running worker. Dropping it ends its whole group.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    stderr: Option<ChildStderr>,
    inbox: Vec<u8>,
    heard: Vec<u8>,
    closed: bool,
    status: Option<ExitStatus>,
}

/// What it was asked, and until when it may take.
#[derive(Debug, Clone, Copy)]
pub struct Task {
    /// As it reads after "while".
    pub doing: &'static str,
    /// How long it may take.
    pub time: Duration,
    /// When that is over.
    pub until: Instant,
}

impl Task {
    /// A task that begins now.
    #[must_use]
    pub fn new(doing: &'static str, time: Duration) -> Self {
        Self {
            doing,
            time,
            until: Instant::now() + time,
        }
    }
}

impl Running {
    /// Starts `program` with nothing of our environment. The kernel ends it with the calling thread
    /// (it asks for that itself).
    ///
    /// # Errors
    /// [`WorkerError::Start`].
    pub fn start(program: &Path, arguments: &[&std::ffi::OsStr]) -> Result<Self, WorkerError> {
        let failed = |source| WorkerError::Start {
            program: program.to_owned(),
            source,
        };
        let mut command = Command::new(program);
        command.arg0("pp-fetcher").args(arguments).env_clear();
        // A crash on demand may be asked of the worker too.
        #[cfg(feature = "failpoints")]
        if let Some(points) = std::env::var_os("FAILPOINTS") {
            command.env("FAILPOINTS", points);
        }
        command
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout)) = (stdin, stdout) else {
            return Err(failed(io::Error::other("it has no pipes")));
        };
        let running = Self {
            child,
            stdin: Some(stdin),
            stdout,
            stderr,
            inbox: Vec::new(),
            heard: Vec::new(),
            closed: false,
            status: None,
        };
        running.never_block().map_err(failed)?;
        Ok(running)
    }

    /// Its process, and its group.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn never_block(&self) -> io::Result<()> {
        let set = |fd: std::os::fd::BorrowedFd<'_>| {
            fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map(|_| ())
        };
        if let Some(stdin) = &self.stdin {
            set(stdin.as_fd())?;
        }
        if let Some(stderr) = &self.stderr {
            set(stderr.as_fd())?;
        }
        Ok(set(self.stdout.as_fd())?)
    }

    /// Says something, and listens meanwhile, so that neither waits for the other for ever.
    ///
    /// # Errors
    /// It is gone, does not listen, or talks nonsense.
    pub fn say(&mut self, frame: &[u8], task: Task) -> Result<(), WorkerError> {
        let mut left = frame;
        while !left.is_empty() {
            let Some(stdin) = &mut self.stdin else {
                return Err(self.gone(task));
            };
            match stdin.write(left) {
                Ok(n) => left = left.get(n..).unwrap_or_default(),
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.wait(true, task)?,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(self.gone(task)),
            }
        }
        Ok(())
    }

    /// The next frame; waits for it.
    ///
    /// # Errors
    /// It is gone, does not answer, or talks nonsense.
    pub fn hear(&mut self, task: Task) -> Result<(Kind, Vec<u8>), WorkerError> {
        loop {
            if let Some(frame) = self.heard_already(task)? {
                return Ok(frame);
            }
            self.wait(false, task)?;
        }
    }

    /// A frame that has come already.
    ///
    /// # Errors
    /// It talks nonsense.
    pub fn heard_already(&mut self, task: Task) -> Result<Option<(Kind, Vec<u8>)>, WorkerError> {
        let Some(first) = self.inbox.first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let (kind, length) = match protocol::head(*first) {
            Ok(head) => head,
            Err(error) => return Err(self.nonsense(error.to_string(), task)),
        };
        if self.inbox.len() < HEAD + length {
            return Ok(None);
        }
        let rest = self.inbox.split_off(HEAD + length);
        let mut frame = std::mem::replace(&mut self.inbox, rest);
        Ok(Some((kind, frame.split_off(HEAD))))
    }

    /// Takes what it has said by now, without waiting.
    ///
    /// # Errors
    /// It talks nonsense.
    pub fn glance(&mut self, task: Task) -> Result<(), WorkerError> {
        self.listen(task)
    }

    /// Ends it because of what it says.
    pub fn nonsense(&mut self, what: impl Into<String>, task: Task) -> WorkerError {
        self.end();
        WorkerError::Nonsense {
            doing: task.doing,
            what: text::line(what.into().as_bytes()),
        }
    }

    /// Waits until it says something, or takes something if `write`.
    fn wait(&mut self, write: bool, task: Task) -> Result<(), WorkerError> {
        if self.closed {
            return Err(self.gone(task));
        }
        let left = task.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.end();
            return Err(WorkerError::TimedOut {
                doing: task.doing,
                time: task.time,
                said: self.last_words(),
            });
        }
        let mut fds = vec![PollFd::new(self.stdout.as_fd(), PollFlags::POLLIN)];
        if let Some(stderr) = &self.stderr {
            fds.push(PollFd::new(stderr.as_fd(), PollFlags::POLLIN));
        }
        if let (Some(stdin), true) = (&self.stdin, write) {
            fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLOUT));
        }
        let millis = left.as_millis().saturating_add(1).min(60_000);
        let timeout = PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX));
        // Whatever it says, the next look tells more.
        let _ = poll(&mut fds, timeout.unwrap_or(PollTimeout::MAX));
        self.listen(task)
    }

    /// Takes what there is from both of its outputs.
    fn listen(&mut self, task: Task) -> Result<(), WorkerError> {
        let mut chunk = [0; 16 * 1024];
        if let Some(stderr) = &mut self.stderr {
            match stderr.read(&mut chunk) {
                Ok(0) => self.stderr = None,
                Ok(n) => {
                    let room = MOST_HEARD.saturating_sub(self.heard.len()).min(n);
                    self.heard.extend(chunk.get(..room).unwrap_or_default());
                }
                Err(e) if passes(&e) => {}
                Err(_) => self.stderr = None,
            }
        }
        while !self.closed && self.inbox.len() < 2 * (HEAD + MOST_BYTES) {
            match self.stdout.read(&mut chunk) {
                Ok(0) => self.closed = true,
                Ok(n) => self.inbox.extend(chunk.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.closed = true,
            }
        }
        if self.closed {
            return Ok(());
        }
        Err(self.nonsense("more than was asked", task))
    }

    /// It has closed its pipes: how it ended.
    fn gone(&mut self, task: Task) -> WorkerError {
        let until = task.until.min(Instant::now() + FAREWELL);
        self.stdin = None;
        let status = self.wait_until(until);
        self.end();
        let signal = status.and_then(|status| status.signal());
        let how = match (signal, status.and_then(|status| status.code())) {
            (Some(signal), _) => match Signal::try_from(signal) {
                Ok(name) => format!("was ended by signal {signal} ({name})"),
                Err(_) => format!("was ended by signal {signal}"),
            },
            (None, Some(code)) => format!("ended with exit code {code}"),
            (None, None) => "closed its output and was ended".to_owned(),
        };
        let advice = match signal {
            Some(9) => {
                "was this host short of memory? the kernel's log tells; the next poll tries again"
            }
            Some(25) => "a file would have grown past 4 GiB; is the repository really that large?",
            Some(_) => {
                "what the forge sent may have crashed it, which is contained; the next poll tries \
                 again, later and later; please report it with the repository if it stays"
            }
            None => "the next poll tries again",
        };
        WorkerError::Ended {
            how,
            doing: task.doing,
            said: self.last_words(),
            advice,
        }
    }

    fn wait_until(&mut self, until: Instant) -> Option<ExitStatus> {
        while self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
            if self.status.is_some() || Instant::now() >= until {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.status
    }

    fn last_words(&mut self) -> String {
        let mut rest = [0; MOST_HEARD];
        if let Some(Ok(n)) = self.stderr.as_mut().map(|stderr| stderr.read(&mut rest)) {
            self.heard.extend(rest.get(..n).unwrap_or_default());
        }
        self.heard.truncate(MOST_HEARD);
        text::lines(&self.heard).join("; ")
    }

    /// Kills it and waits until it is gone: from then on nobody writes where it could.
    pub fn end(&mut self) {
        self.stdin = None;
        if self.status.is_some() {
            return;
        }
        let group = i32::try_from(self.child.id()).map(Pid::from_raw);
        if let Ok(group) = group {
            // ESRCH only says that nobody is left.
            let _ = killpg(group, Signal::SIGKILL);
        }
        self.status = self.child.wait().ok();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

fn passes(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
