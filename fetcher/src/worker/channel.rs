//! Frames to and from the worker's process. Each task has a deadline, and the input from the worker is bounded.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use nix::sys::signal::Signal;
use pp_objects::protocol::{self, HEAD, Kind, MOST_BYTES};
use tokio_util::codec::{Decoder, LengthDelimitedCodec};

use super::error::WorkerError;
use crate::process::child::ChildProcess;
use crate::process::ending::{AbortReason, Exit};
use crate::process::start::Output;
use crate::util::text;

/// The most bytes taken from the worker while a request is sent: an honest worker sends only progress meanwhile.
const AHEAD: usize = 2 * (HEAD + MOST_BYTES);

/// The room made in the buffer for each read: pieces of objects come in quick succession.
const BUFFER: usize = 512 * 1024;

/// A running worker and its pipes. Dropping the channel ends the worker's whole process group.
#[derive(Debug)]
pub(crate) struct Channel {
    child: ChildProcess,
    /// What the worker is doing.
    task: Task,
    codec: LengthDelimitedCodec,
    inbox: BytesMut,
}

/// A task of the worker, and the time it may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task {
    /// The task, as it reads after "while" in a message.
    pub(crate) doing: &'static str,
    /// The longest time the task may take.
    pub(crate) time: Duration,
}

impl Channel {
    /// Starts `program` for the mirror at `mirror` with an empty environment. The kernel ends the worker
    /// when the calling thread ends (the worker asks the kernel for that itself).
    ///
    /// # Errors
    /// [`WorkerError::Start`].
    pub(crate) fn start(program: &Path, mirror: &Path, task: Task) -> Result<Self, WorkerError> {
        // The worker's working directory is another one, so its argument must be an absolute path.
        let mirror = std::path::absolute(mirror).unwrap_or_else(|_| mirror.to_owned());
        let mut command = Command::new(program);
        command.arg(mirror).env_clear().current_dir("/");
        command.stdin(Stdio::piped());
        let child = ChildProcess::spawn(command, Output::Apart, task.time, u64::MAX);
        let child = child.map_err(|source| WorkerError::Start {
            program: program.to_owned(),
            source,
        })?;
        let codec = LengthDelimitedCodec::builder()
            .length_field_offset(1)
            .length_field_length(HEAD - 1)
            .length_adjustment(HEAD.cast_signed())
            .num_skip(0)
            .max_frame_length(HEAD + MOST_BYTES)
            .new_codec();
        Ok(Self {
            child,
            task,
            codec,
            inbox: BytesMut::new(),
        })
    }

    /// Returns the worker's process group, for tests that look for processes left of it.
    #[cfg(test)]
    pub(crate) fn pid(&self) -> u32 {
        self.child.pid().as_raw().cast_unsigned()
    }

    /// Gives the worker `task` to do: what errors say that it was doing, and its deadline from now.
    pub(crate) fn begin(&mut self, task: Task) {
        self.child.set_deadline(Instant::now() + task.time);
        self.task = task;
    }

    /// Sends frames, and meanwhile takes the worker's output into the inbox.
    ///
    /// # Errors
    /// The worker is gone, or does not read its input.
    pub(crate) fn send(&mut self, frames: &[u8]) -> Result<(), WorkerError> {
        let sent = self.child.write_all(frames, &mut self.inbox, AHEAD);
        sent.map_err(|_| self.failed())
    }

    /// Returns the next frame, and waits for it.
    ///
    /// # Errors
    /// The worker is gone, does not answer, or sends bytes that are no frame.
    pub(crate) fn receive(&mut self) -> Result<(Kind, Bytes), WorkerError> {
        loop {
            if let Some(frame) = self.received_already()? {
                return Ok(frame);
            }
            self.inbox.reserve(BUFFER);
            match self.child.read(&mut self.inbox) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Err(self.failed()),
            }
        }
    }

    /// Returns a frame that has arrived in full already; `None` if none has.
    ///
    /// # Errors
    /// The worker sent bytes that are no frame.
    pub(crate) fn received_already(&mut self) -> Result<Option<(Kind, Bytes)>, WorkerError> {
        // Checks the limit of the frame's kind as soon as the head is there, before more of the frame is kept.
        let kind = match self.inbox.first_chunk::<HEAD>() {
            None => return Ok(None),
            Some(head) => protocol::read_head(*head).map(|(kind, _)| kind),
        };
        let kind = kind.map_err(|error| self.nonsense(error.to_string()))?;
        match self.codec.decode(&mut self.inbox) {
            Ok(None) => Ok(None),
            Ok(Some(frame)) => {
                let mut content = frame.freeze();
                content.advance(HEAD);
                Ok(Some((kind, content)))
            }
            Err(error) => Err(self.nonsense(error.to_string())),
        }
    }

    /// Ends the worker because its answer makes no sense, and returns the error.
    pub(crate) fn nonsense(&mut self, what: impl Into<String>) -> WorkerError {
        self.child.end();
        WorkerError::Nonsense {
            doing: self.task.doing,
            what: text::line(what.into().as_bytes()),
        }
    }

    /// Kills the worker and waits until it is gone.
    pub(crate) fn end(&mut self) {
        self.child.end();
    }

    /// Returns the error for a worker that has closed its pipes or was cut off: how the worker ended.
    fn failed(&mut self) -> WorkerError {
        let aborted = self.child.abort_reason();
        if aborted.is_some() {
            self.child.end();
        }
        let words = self.child.last_words();
        let said = text::lines(&words.stderr).join("; ");
        let Task { doing, time } = self.task;
        match aborted {
            Some(AbortReason::Stopped) => WorkerError::Stopped { doing },
            Some(AbortReason::Deadline | AbortReason::Budget) => {
                WorkerError::TimedOut { doing, time, said }
            }
            None => WorkerError::Ended {
                how: how(words.exit),
                doing,
                said,
                advice: advice(words.exit),
            },
        }
    }
}

fn how(exit: Option<Exit>) -> String {
    match exit {
        Some(Exit::Signal(signal)) => match Signal::try_from(signal) {
            Ok(name) => format!("was ended by signal {signal} ({name})"),
            Err(_) => format!("was ended by signal {signal}"),
        },
        Some(Exit::Code(code)) => format!("ended with exit code {code}"),
        None => "closed its output and was ended".to_owned(),
    }
}

fn advice(exit: Option<Exit>) -> &'static str {
    match exit {
        Some(Exit::Signal(9)) => {
            "was this host short of memory? the kernel's log tells; the next poll tries again"
        }
        Some(Exit::Signal(25)) => {
            "a file would have grown past 4 GiB; is the repository really that large?"
        }
        Some(Exit::Signal(_)) => {
            "what the forge sent may have crashed it, which is contained; the next poll tries \
             again, later and later; please report it with the repository if it stays"
        }
        Some(Exit::Code(_)) | None => "the next poll tries again",
    }
}
