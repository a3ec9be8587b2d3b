//! The git protocol, version 2 with fall-back to 0, over any `Read` and `Write` stream.
//!
//! gix-packetline does the framing. Only a few messages are spoken: a greeting, a listing of
//! refs, a request for a pack or for the commits between two revisions. Nothing in this module knows of processes, deadlines or repositories.
//!
//! Format: gitprotocol-v2(5), gitprotocol-pack(5), gitprotocol-capabilities(5).

mod advertised;
pub(crate) mod greeting;
pub(crate) mod history;
pub(crate) mod pack;
pub(crate) mod refs;
mod request;

use std::io::{self, BufReader, Read, Write};

use gix_packetline::PacketLineRef;
use gix_packetline::blocking_io::StreamingPeekableIter;
use thiserror::Error;

pub(crate) use greeting::{CommandCapabilities, Greeting, Version};
pub(crate) use history::Between;
pub(crate) use request::Request;

use crate::util::text;

/// The `agent` capability that is sent to the server.
pub(crate) const AGENT: &str = concat!("agent=pp-fetcher/", env!("CARGO_PKG_VERSION"));

/// Size of the read buffer in bytes: about one full packet.
const BUFFER: usize = 64 * 1024;

/// Why a conversation in the git protocol cannot go on.
#[derive(Debug, Error)]
pub(crate) enum WireError {
    /// The stream ended or broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The server reported an error in its own words (cleaned).
    #[error("{0}")]
    Said(String),
    /// The server sent bytes that the protocol does not allow.
    #[error("{0}")]
    Malformed(String),
    /// The repository names its objects by another hash than SHA-1.
    #[error("object format {0}")]
    ObjectFormat(String),
    /// The server lists more refs than are kept.
    #[error("more than {0} refs")]
    TooManyRefs(usize),
}

/// One packet of the git protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    /// The packet's data, unchanged.
    Data(&'a [u8]),
    /// The end of a message.
    Flush,
    /// The border between two sections of a message.
    Delimiter,
}

/// The most bytes kept of the beginning of a server's output.
const HEAD: usize = 200;

/// A stream whose first bytes are kept, for messages: a server that is not a git server does not speak in packets.
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

/// A stream that carries packets of the git protocol.
pub(crate) struct Wire<S> {
    lines: StreamingPeekableIter<BufReader<RecordedStream<S>>>,
}

impl<S: Read + Write> Wire<S> {
    /// Wraps `stream`.
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

    /// Returns the wrapped stream.
    pub(crate) fn stream(&mut self) -> &mut S {
        &mut self.lines.inner_mut().get_mut().stream
    }

    /// Returns the first bytes that the server has sent, fit for a terminal.
    pub(super) fn head(&mut self) -> String {
        text::line(&self.lines.inner_mut().get_mut().head)
    }

    /// Receives the next packet; an `ERR` packet is an error.
    ///
    /// # Errors
    /// [`WireError::Io`] also at the end of the stream.
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

/// Returns `line` without the newline that git ends text packets with.
fn chomp(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}
