//! Turns messages into frames of bytes, and frames into messages.
//!
//! A frame is a 4-byte big-endian length, 1 to 1,024, and that many bytes of payload. The payload
//! is encoded in bincode 2's standard configuration (little-endian, variable-length integers). This is
//! the only file that uses bincode, because bincode is unmaintained (RUSTSEC-2025-0141). A replacement
//! has to reproduce the golden bytes in `tests/golden.rs`.

use bytes::{Bytes, BytesMut};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;
use tokio_util::codec::{Decoder, Encoder, LengthDelimitedCodec};

use crate::VERSION;
use crate::message::{Reply, Request};

/// Largest payload, in bytes. The longest message, a request with a 255-byte name, needs 261.
pub const MAX_FRAME: usize = 1024;

/// Number of bytes of the length field in front of a payload.
pub const HEADER: usize = 4;

const CONFIG: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<MAX_FRAME>,
> = bincode::config::standard().with_limit::<MAX_FRAME>();

/// Why bytes are not a valid frame or message, or why a message cannot be encoded.
#[derive(Debug, Error)]
pub enum CodecError {
    /// The length is 0 or more than [`MAX_FRAME`], or the connection ended inside of a frame.
    #[error("bad frame: {0}")]
    Frame(#[source] std::io::Error),
    /// A frame without payload.
    #[error("empty frame")]
    Empty,
    /// The first byte is not [`VERSION`].
    #[error("protocol version {0}, this is version {VERSION}")]
    Version(u8),
    /// The payload is not a message, or a message does not fit into a frame.
    #[error("not a message of version {VERSION}")]
    Malformed,
    /// The payload goes on for this many bytes after the end of its message.
    #[error("{0} bytes after the end of the message")]
    Trailing(usize),
}

/// Returns the framing that both sides use. Its limit is [`MAX_FRAME`]; the codec's own default would be
/// 8 MiB.
#[must_use]
pub fn framing() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder()
        .max_frame_length(MAX_FRAME)
        .length_field_length(HEADER)
        .new_codec()
}

/// Returns the payload of a request.
///
/// # Errors
/// [`CodecError::Malformed`] if the payload would be longer than [`MAX_FRAME`].
pub fn encode_request(request: &Request) -> Result<Bytes, CodecError> {
    encode(request)
}

/// Returns the payload of a reply: the version, then the reply.
///
/// # Errors
/// [`CodecError::Malformed`] if the payload would be longer than [`MAX_FRAME`].
pub fn encode_reply(reply: &Reply) -> Result<Bytes, CodecError> {
    encode(&(VERSION, reply))
}

/// Decodes a request from one frame's payload.
///
/// # Errors
/// Any [`CodecError`] but [`CodecError::Frame`]; the restarter then closes the connection.
pub fn decode_request(payload: &[u8]) -> Result<Request, CodecError> {
    decode(payload)
}

/// Decodes a reply from one frame's payload.
///
/// # Errors
/// Any [`CodecError`] but [`CodecError::Frame`].
pub fn decode_reply(payload: &[u8]) -> Result<Reply, CodecError> {
    decode::<(u8, Reply)>(payload).map(|(_, reply)| reply)
}

/// Puts one payload into a frame.
///
/// # Errors
/// [`CodecError::Frame`] if the payload is longer than [`MAX_FRAME`].
pub fn frame(payload: Bytes) -> Result<BytesMut, CodecError> {
    let mut out = BytesMut::with_capacity(HEADER + payload.len());
    framing()
        .encode(payload, &mut out)
        .map_err(CodecError::Frame)?;
    Ok(out)
}

/// Takes the next payload out of `buffer`; returns `None` while the frame is incomplete.
///
/// # Errors
/// [`CodecError::Frame`] as soon as the header announces more than [`MAX_FRAME`] bytes.
pub fn unframe(
    codec: &mut LengthDelimitedCodec,
    buffer: &mut BytesMut,
) -> Result<Option<BytesMut>, CodecError> {
    codec.decode(buffer).map_err(CodecError::Frame)
}

fn encode(message: &impl Serialize) -> Result<Bytes, CodecError> {
    let bytes =
        bincode::serde::encode_to_vec(message, CONFIG).map_err(|_| CodecError::Malformed)?;
    if bytes.len() > MAX_FRAME {
        return Err(CodecError::Malformed);
    }
    Ok(bytes.into())
}

fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, CodecError> {
    match payload.first() {
        None => return Err(CodecError::Empty),
        Some(&VERSION) => {}
        Some(&other) => return Err(CodecError::Version(other)),
    }
    let (message, used) =
        bincode::serde::decode_from_slice(payload, CONFIG).map_err(|_| CodecError::Malformed)?;
    // bincode stops where the message ends and does not report bytes after it.
    match payload.len() - used {
        0 => Ok(message),
        rest => Err(CodecError::Trailing(rest)),
    }
}
