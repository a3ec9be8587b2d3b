//! The transport of a conversation: a program behind a pipe, or requests over https.

use std::io::{self, Read, Write};
use std::time::Instant;

use super::https::Https;
use super::pipe::Pipe;
use crate::process::ending::{AbortReason, Exit};

/// A pipe or https. Both end at a deadline and at a byte budget.
pub(crate) enum Transport {
    /// A program: ssh or git on this machine, or git at the server over a shared connection.
    Pipe(Box<Pipe>),
    /// An https server, which is sent request by request.
    Https(Box<Https>),
}

impl Transport {
    /// Returns the time at which reading and writing are cut off.
    #[must_use]
    pub(crate) fn deadline(&self) -> Instant {
        match self {
            Self::Pipe(pipe) => pipe.deadline(),
            Self::Https(https) => https.deadline(),
        }
    }

    /// Returns why pp-fetcher cut off reading or writing, if it did.
    #[must_use]
    pub(crate) fn abort_reason(&self) -> Option<AbortReason> {
        match self {
            Self::Pipe(pipe) => pipe.abort_reason(),
            Self::Https(https) => https.abort_reason(),
        }
    }

    /// Returns how the program has ended, if that was found out.
    #[must_use]
    pub(super) fn exit(&self) -> Option<Exit> {
        match self {
            Self::Pipe(pipe) => pipe.exit(),
            Self::Https(_) => None,
        }
    }

    /// Returns the stderr of the ended program; empty over https, which has no program.
    pub(super) fn said(&mut self) -> Vec<u8> {
        match self {
            Self::Pipe(pipe) => pipe.last_words().stderr,
            Self::Https(_) => Vec::new(),
        }
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Pipe(pipe) => pipe.read(buffer),
            Self::Https(https) => https.read(buffer),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Pipe(pipe) => pipe.write(bytes),
            Self::Https(https) => https.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Pipe(pipe) => pipe.flush(),
            Self::Https(https) => https.flush(),
        }
    }
}
