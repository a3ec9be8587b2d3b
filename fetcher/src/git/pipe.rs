//! The transport's process, ssh or a local git, as a `Read` and `Write` stream.

use std::io::{self, ErrorKind, Read, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};

use crate::process::child::ChildProcess;
use crate::process::ending::{AbortReason, LastWords};
use crate::process::tied;

/// The most bytes that are taken from the process at a time.
const BUFFER: usize = 64 * 1024;

/// A running transport process. Reading and writing end at the deadline and when pp-fetcher is told to stop; reading
/// ends at the byte budget, too.
#[derive(Debug)]
pub(crate) struct Pipe {
    child: ChildProcess,
    inbox: BytesMut,
}

impl Pipe {
    /// Starts `command`: see [`tied::spawn`].
    ///
    /// # Errors
    /// The kernel's error if the program cannot be started.
    pub(crate) fn spawn(command: &Command, deadline: Duration, budget: u64) -> io::Result<Self> {
        Ok(Self {
            child: tied::spawn(command, deadline, budget)?,
            inbox: BytesMut::new(),
        })
    }

    /// Returns the process group, for tests that look for processes left of it.
    #[cfg(test)]
    pub(crate) fn process_group(&self) -> u32 {
        self.child.pid().as_raw().cast_unsigned()
    }

    /// Returns the time at which reading and writing are cut off.
    pub(crate) fn deadline(&self) -> Instant {
        self.child.deadline()
    }

    /// Returns why pp-fetcher cut off reading or writing, if it did.
    pub(crate) fn abort_reason(&self) -> Option<AbortReason> {
        self.child.abort_reason()
    }

    /// Returns the stderr and the exit of the process when its output has ended; then ends the whole group.
    pub(crate) fn last_words(&mut self) -> LastWords {
        self.child.last_words()
    }

    /// Ends the process at once if reading or writing was cut off.
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
