//! The git protocol, version 2 with fall-back to 0, over anything that reads and writes.
//!
//! Framing is gix-packetline's. What is said in the frames is little: a greeting, a listing of
//! refs, a request for a pack. Nothing here knows of processes, deadlines or repositories.
//!
//! Format: gitprotocol-v2(5), gitprotocol-pack(5), gitprotocol-capabilities(5).

mod advertised;
pub(crate) mod greeting;
pub(crate) mod pack;
pub(crate) mod refs;
mod request;

use std::io::{self, BufReader, Read, Write};

use gix_packetline::PacketLineRef;
use gix_packetline::blocking_io::StreamingPeekableIter;
use thiserror::Error;

pub(crate) use greeting::{Greeting, Version};
pub(crate) use request::Request;

use crate::util::text;

/// What we call ourselves to the server.
pub(crate) const AGENT: &str = concat!("agent=pp-fetcher/", env!("CARGO_PKG_VERSION"));

/// Size of the read buffer in bytes: about one full packet.
const BUFFER: usize = 64 * 1024;

/// Why a conversation cannot go on.
#[derive(Debug, Error)]
pub(crate) enum WireError {
    /// The stream ended or broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The server said that it failed, in its own words (cleaned).
    #[error("{0}")]
    Said(String),
    /// The server said something else than the protocol allows.
    #[error("{0}")]
    Malformed(String),
    /// The repository's object names are of another hash than SHA-1.
    #[error("object format {0}")]
    ObjectFormat(String),
    /// More refs than are kept.
    #[error("more than {0} refs")]
    TooManyRefs(usize),
}

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    /// Data, as it came.
    Data(&'a [u8]),
    /// End of a message.
    Flush,
    /// Border between two sections of a message.
    Delimiter,
}

/// Most that is kept of the beginning of what a server says.
const HEAD: usize = 200;

/// A stream whose beginning is kept: what a server says that is none is not said in packets.
struct RecordedStream<S> {
    stream: S,
    head: Vec<u8>,
}

impl<S: Read> Read for RecordedStream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        let room = HEAD.saturating_sub(self.head.len());
        self.head.extend(buffer.iter().take(read.min(room)));
        Ok(read)
    }
}

/// A stream that carries packets.
pub(crate) struct Wire<S> {
    lines: StreamingPeekableIter<BufReader<RecordedStream<S>>>,
}

impl<S: Read + Write> Wire<S> {
    /// Packets over `stream`.
    pub(crate) fn new(stream: S) -> Self {
        Self {
            lines: StreamingPeekableIter::new(
                BufReader::with_capacity(
                    BUFFER,
                    RecordedStream {
                        stream,
                        head: Vec::new(),
                    },
                ),
                &[],
                false,
            ),
        }
    }

    /// The stream below.
    pub(crate) fn stream(&mut self) -> &mut S {
        &mut self.lines.inner_mut().get_mut().stream
    }

    /// The beginning of what the server has said, fit for a terminal.
    pub(super) fn head(&mut self) -> String {
        text::line(&self.lines.inner_mut().get_mut().head)
    }

    /// The next packet; an `ERR` packet is an error.
    ///
    /// # Errors
    /// [`WireError::Io`] at the end of the stream too.
    pub(crate) fn receive(&mut self) -> Result<Packet<'_>, WireError> {
        let Some(line) = self.lines.read_line() else {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        };
        let packet = line?.map_err(|error| malformed(error.to_string()))?;
        match packet {
            PacketLineRef::Data(data) => match packet.check_error() {
                Some(error) => Err(WireError::Said(text::line(error.0))),
                None => Ok(Packet::Data(data)),
            },
            PacketLineRef::Flush => Ok(Packet::Flush),
            PacketLineRef::Delimiter => Ok(Packet::Delimiter),
            PacketLineRef::ResponseEnd => Err(malformed("a packet of another transport")),
        }
    }

    /// Sends a whole request.
    ///
    /// # Errors
    /// [`WireError::Io`].
    pub(crate) fn send(&mut self, request: &Request) -> Result<(), WireError> {
        let stream = self.stream();
        stream.write_all(request.bytes())?;
        Ok(stream.flush()?)
    }
}

fn malformed(what: impl Into<String>) -> WireError {
    WireError::Malformed(text::line(what.into().as_bytes()))
}

/// `line` without the newline git ends text packets with.
fn chomp(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}
