//! The program that speaks for the server, as a `Read` and `Write` stream: ssh or a local git, or `git-upload-pack` over a
//! shared connection.

use std::io::{self, ErrorKind, Read, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};

use super::multiplex::RemoteProgram;
use crate::process::child::ChildProcess;
use crate::process::ending::{AbortReason, Exit, LastWords};
use crate::process::tied;

/// The most bytes that are taken from the program at a time.
const BUFFER: usize = 64 * 1024;

/// A program with streams.
#[derive(Debug)]
enum Program {
    /// A process on this host.
    Child(ChildProcess),
    /// A program at the server.
    Remote(RemoteProgram),
}

/// A running program. Reading and writing end at the deadline and when pp-fetcher is told to stop; reading
/// ends at the byte budget, too.
#[derive(Debug)]
pub(crate) struct Pipe {
    program: Program,
    inbox: BytesMut,
    exit: Option<Exit>,
}

impl Pipe {
    /// Starts `command`: see [`tied::spawn`].
    ///
    /// # Errors
    /// The kernel's error if the program cannot be started.
    pub(crate) fn spawn(command: &Command, deadline: Duration, budget: u64) -> io::Result<Self> {
        let child = tied::spawn(command, deadline, budget)?;
        Ok(Self::new(Program::Child(child)))
    }

    /// Wraps a program that runs at the server.
    #[must_use]
    pub(crate) fn over_master(program: RemoteProgram) -> Self {
        Self::new(Program::Remote(program))
    }

    fn new(program: Program) -> Self {
        Self {
            program,
            inbox: BytesMut::new(),
            exit: None,
        }
    }

    /// Returns the process group, for tests that look for processes left of it; 0 if it has no process on this host.
    #[cfg(test)]
    pub(crate) fn process_group(&self) -> u32 {
        match &self.program {
            Program::Child(child) => child.pid().as_raw().cast_unsigned(),
            Program::Remote(_) => 0,
        }
    }

    /// Returns the time at which reading and writing are cut off.
    pub(crate) fn deadline(&self) -> Instant {
        match &self.program {
            Program::Child(child) => child.deadline(),
            Program::Remote(program) => program.deadline(),
        }
    }

    /// Returns why pp-fetcher cut off reading or writing, if it did.
    pub(crate) fn abort_reason(&self) -> Option<AbortReason> {
        match &self.program {
            Program::Child(child) => child.abort_reason(),
            Program::Remote(program) => program.abort_reason(),
        }
    }

    /// Returns the stderr and the exit of the program when its output has ended; then ends it.
    pub(crate) fn last_words(&mut self) -> LastWords {
        let words = match &mut self.program {
            Program::Child(child) => child.last_words(),
            Program::Remote(program) => program.last_words(),
        };
        self.exit = words.exit;
        words
    }

    /// Returns how the program has ended, as far as [`Self::last_words`] has found that out.
    #[must_use]
    pub(crate) fn exit(&self) -> Option<Exit> {
        self.exit
    }

    /// Ends the program at once if reading or writing was cut off.
    fn end_if_aborted<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        if self.abort_reason().is_some() {
            match &mut self.program {
                Program::Child(child) => child.end(),
                Program::Remote(program) => program.end(),
            }
        }
        result
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.inbox.is_empty() {
            self.inbox.reserve(BUFFER);
            let read = match &mut self.program {
                Program::Child(child) => child.read(&mut self.inbox),
                Program::Remote(program) => program.read(&mut self.inbox),
            };
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
        let written = match &mut self.program {
            Program::Child(child) => child.write_all(bytes, &mut self.inbox, BUFFER),
            Program::Remote(program) => program.write_all(bytes, &mut self.inbox, BUFFER),
        };
        self.end_if_aborted(written)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
