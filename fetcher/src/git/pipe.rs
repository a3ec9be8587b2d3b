//! The program at the other end of the conversation, as something that reads and writes.

use std::io::{self, ErrorKind, Read, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};

use crate::process::child::ChildProcess;
use crate::process::ending::{AbortReason, LastWords};
use crate::process::tied;

/// Most that is taken from the program at a time.
const BUFFER: usize = 64 * 1024;

/// A running transport. Reading and writing end at the deadline and when pp-fetcher is told to stop; reading
/// ends at the budget.
#[derive(Debug)]
pub(crate) struct Pipe {
    child: ChildProcess,
    inbox: BytesMut,
}

impl Pipe {
    /// Starts `command`: see [`tied::spawn`].
    ///
    /// # Errors
    /// What the kernel says if it cannot be started.
    pub(crate) fn spawn(command: &Command, deadline: Duration, budget: u64) -> io::Result<Self> {
        Ok(Self {
            child: tied::spawn(command, deadline, budget)?,
            inbox: BytesMut::new(),
        })
    }

    /// The process group, for tests that look for what is left of it.
    #[cfg(test)]
    pub(crate) fn process_group(&self) -> u32 {
        self.child.pid().as_raw().cast_unsigned()
    }

    /// When everything ends.
    pub(crate) fn deadline(&self) -> Instant {
        self.child.deadline()
    }

    /// Why reading or writing was cut off, if it was by us.
    pub(crate) fn abort_reason(&self) -> Option<AbortReason> {
        self.child.abort_reason()
    }

    /// What the program has to say when its output has ended; then the whole group is ended.
    pub(crate) fn last_words(&mut self) -> LastWords {
        self.child.last_words()
    }

    /// Whoever was cut off is ended at once.
    fn end_if_aborted<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        if self.child.abort_reason().is_some() {
            self.child.end();
        }
        result
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.inbox.is_empty() {
            self.inbox.reserve(BUFFER);
            let read = self.child.read(&mut self.inbox);
            self.end_if_aborted(read)?;
        }
        let count = self.inbox.len().min(buffer.len());
        let (Some(to), Some(from)) = (buffer.get_mut(..count), self.inbox.get(..count)) else {
            return Err(ErrorKind::InvalidInput.into());
        };
        to.copy_from_slice(from);
        self.inbox.advance(count);
        Ok(count)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.child.write_all(bytes, &mut self.inbox, BUFFER);
        self.end_if_aborted(written)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
