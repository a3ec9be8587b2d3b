//! The messages between `pp-fetcher` and the git worker, `pp-git-worker`: frames over the worker's standard
//! input and output.
//!
//! A frame is a kind (one byte), a length (four bytes, big-endian) and as many bytes of content as the length
//! says. Requests, answers and progress are JSON; packs, lists of ids and objects are raw bytes. The length of a
//! frame is checked against the limit of its kind before any of its content is stored.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use crate::{Kind as ObjectKind, ObjectId};

/// The version of these messages. `pp-fetcher` and the worker come in one package; a service that was not
/// restarted after an upgrade finds a worker of another version than its own.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "/3");

/// The most bytes of JSON in one frame.
pub const MOST_JSON: usize = 64 * 1024;

/// The most bytes of content in one frame of any kind: a tree object with 200,000 entries has fewer.
pub const MOST_BYTES: usize = 16 << 20;

/// Length in bytes of a frame's head: one byte of kind, four of length.
pub const HEAD: usize = 5;

/// The most characters of an error's text.
pub const MOST_TEXT: usize = 8_000;

/// The most bytes of an object in one frame: a larger object is sent in several pieces.
pub const PIECE: usize = 128 * 1024;

/// The kind of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request, or the answer to a request.
    Json,
    /// How far the worker has got with a pack: see [`Progress`].
    Progress,
    /// A piece of a pack, a list of ids, or other bytes that a request asks for. An empty frame ends a pack.
    Bytes,
    /// Sent by `pp-fetcher`: the rest of the pack will not follow.
    BrokenOff,
    /// A piece of one of the objects that a request asks for: see [`Piece`].
    Piece,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Json,
        Self::Progress,
        Self::Bytes,
        Self::BrokenOff,
        Self::Piece,
    ];

    fn code(self) -> u8 {
        match self {
            Self::Json => b'J',
            Self::Progress => b'P',
            Self::Bytes => b'B',
            Self::BrokenOff => b'X',
            Self::Piece => b'O',
        }
    }

    fn limit(self) -> usize {
        match self {
            Self::Json => MOST_JSON,
            Self::Progress => 256,
            Self::Bytes => MOST_BYTES,
            Self::BrokenOff => 0,
            Self::Piece => Piece::HEAD + PIECE,
        }
    }
}

/// A request of `pp-fetcher` to the worker.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Asks which commits `pp-fetcher` may name to the server as already in the mirror, when this object is to
    /// be fetched and pinned under this name.
    Haves(ObjectId, String),
    /// Asks the worker to take the pack whose pieces follow, and which must bring this object; these commits
    /// are the ones at which the server's own history ends.
    Receive(ObjectId, Vec<ObjectId>),
    /// Asks the worker to take the pack whose pieces follow for its commits alone, until the worker ends: the mirror
    /// does not get the pack. [`Request::Chain`] then follows these commits, too.
    ReceiveHistory,
    /// Asks the worker to pin this object, just fetched, under this name, and to name the commit that it is or tags.
    KeepAs(ObjectId, String),
    /// Asks for the content of the objects whose ids follow in a frame, all of this kind; sent as [`Piece`]s.
    Objects(ObjectKind),
    /// Asks for the sizes of the blobs whose ids follow in a frame: eight bytes each, little-endian.
    Sizes,
    /// Asks for the commits from the second back to the first, if the first is an ancestor of the second. The answer
    /// to a question about commits that are not all in the mirror is [`Answer::Cut`].
    Chain(ObjectId, ObjectId),
    /// Says that this revision is live: the worker pins it, and repacks the mirror if it has many packs.
    Keep(ObjectId),
}

/// An answer of the worker. `pp-fetcher` trusts none of it: every answer is bounded, checked or proven.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// The worker is contained and has opened the mirror.
    Ready {
        /// [`VERSION`] of the worker.
        version: String,
        /// Which parts of the containment the kernel could not enforce; nothing if it enforces all of them.
        lacking: Option<String>,
    },
    /// The object is in the mirror already.
    Here,
    /// The object is not in the mirror. The first list has commits that are, with their history; the second
    /// has the commits at which that history ends.
    Haves(Vec<ObjectId>, Vec<ObjectId>),
    /// The pack was taken; it had this many objects.
    Received(u64),
    /// The commit that was asked for.
    Commit(ObjectId),
    /// The request is done; the bytes or pieces that it asked for were sent before this answer.
    Done,
    /// No chain was found, but the mirror does not have the whole history of the younger commit.
    Cut,
    /// The request could not be carried out: the kind of reason, the reason in words, and the kernel's error
    /// number if the kernel gave the reason.
    Failed(FailureKind, String, Option<i32>),
}

/// Why the worker could not carry out a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// The mirror is damaged: `pp-fetcher` may set it aside and start a new one.
    Broken,
    /// The pack is refused.
    Pack,
    /// The fetched object is not a commit; the text of the answer names its kind.
    NoCommit,
    /// Any other reason.
    Other,
}

/// How far the worker has got with indexing a pack.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Progress {
    /// Bytes of the pack read so far.
    pub bytes: u64,
    /// Objects indexed so far.
    pub done: u64,
    /// Objects in the whole pack.
    pub of: u64,
}

/// A piece of an object: the place of the object in the list of ids, whether this piece is the object's last,
/// and the bytes. The pieces of one object come in order; the pieces of several objects may be mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Place of the object in the list of ids that the request carried.
    pub index: usize,
    /// Whether this piece is the last of the object.
    pub last: bool,
    /// The object's bytes in this piece.
    pub bytes: &'a [u8],
}

impl<'a> Piece<'a> {
    /// Bytes of the piece's own head: four of `index`, one of `last`.
    const HEAD: usize = 5;

    /// Reads a piece from the content of a frame; `None` if the content is shorter than a piece's head.
    #[must_use]
    pub fn read(content: &'a [u8]) -> Option<Self> {
        let (&[a, b, c, d, last], bytes) = content.split_first_chunk()?;
        Some(Self {
            index: usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?,
            last: last == 1,
            bytes,
        })
    }

    /// Appends the piece to `to` as a frame.
    pub fn write(&self, to: &mut Vec<u8>) {
        let index = u32::try_from(self.index).unwrap_or(u32::MAX);
        head(Kind::Piece, Self::HEAD + self.bytes.len(), to);
        to.extend(index.to_be_bytes());
        to.push(u8::from(self.last));
        to.extend(self.bytes);
    }
}

fn head(kind: Kind, length: usize, to: &mut Vec<u8>) {
    to.push(kind.code());
    // No caller hands over more than the limit of the kind, which is far below what four bytes can hold.
    to.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

/// Returns a frame of this kind with this content.
#[must_use]
pub fn frame(kind: Kind, bytes: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEAD + bytes.len());
    head(kind, bytes.len(), &mut frame);
    frame.extend(bytes);
    frame
}

/// Returns a frame whose content is `value` as JSON.
///
/// # Errors
/// The JSON is longer than the limit of `kind`.
pub fn json(kind: Kind, value: &impl Serialize) -> io::Result<Vec<u8>> {
    let text = serde_json::to_vec(value)?;
    if text.len() > kind.limit() {
        return Err(io::Error::other("too long for a message"));
    }
    Ok(frame(kind, &text))
}

/// Returns a frame with a list of ids.
#[must_use]
pub fn ids(ids: &[ObjectId]) -> Vec<u8> {
    let bytes: Vec<u8> = ids.iter().flat_map(ObjectId::as_bytes).copied().collect();
    frame(Kind::Bytes, &bytes)
}

/// Reads the ids from the content of a frame that [`ids`] has made.
pub fn read_ids(bytes: &[u8]) -> impl Iterator<Item = ObjectId> + '_ {
    bytes
        .chunks_exact(ObjectId::LENGTH)
        .filter_map(ObjectId::from_bytes)
}

/// Reads the head of a frame: its kind and the length of its content.
///
/// # Errors
/// The kind is unknown, or the length is above the limit of the kind.
pub fn read_head(head: [u8; HEAD]) -> io::Result<(Kind, usize)> {
    let [code, length @ ..] = head;
    let kind = Kind::ALL.into_iter().find(|kind| kind.code() == code);
    let kind = kind.ok_or_else(|| io::Error::other("a frame of an unknown kind"))?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > kind.limit() {
        return Err(io::Error::other("a frame that is too long"));
    }
    Ok((kind, length))
}

/// Reads a frame, its content into `into`; `None` at the end of the stream.
///
/// # Errors
/// The stream ends within a frame, or holds bytes that are no frame.
pub fn read(from: &mut impl Read, into: &mut Vec<u8>) -> io::Result<Option<Kind>> {
    let mut first = [0; HEAD];
    if from.read(first.get_mut(..1).unwrap_or_default())? == 0 {
        return Ok(None);
    }
    from.read_exact(first.get_mut(1..).unwrap_or_default())?;
    let (kind, length) = read_head(first)?;
    into.clear();
    into.resize(length, 0);
    from.read_exact(into)?;
    Ok(Some(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let mut text = [frame(Kind::Bytes, b"abc"), frame(Kind::BrokenOff, b"")].concat();
        let piece = Piece {
            index: 70_000,
            last: true,
            bytes: b"xyz",
        };
        piece.write(&mut text);
        let mut from = &text[..];
        let mut bytes = Vec::new();
        assert_eq!(read(&mut from, &mut bytes).unwrap(), Some(Kind::Bytes));
        assert_eq!(bytes, b"abc");
        assert_eq!(read(&mut from, &mut bytes).unwrap(), Some(Kind::BrokenOff));
        assert_eq!(read(&mut from, &mut bytes).unwrap(), Some(Kind::Piece));
        assert_eq!(Piece::read(&bytes), Some(piece));
        assert_eq!(Piece::read(&bytes[..4]), None);
        assert_eq!(read(&mut from, &mut bytes).unwrap(), None);
    }

    #[test]
    fn what_is_no_frame_is_refused_before_anything_is_kept() {
        let long = |kind: u8, length: u32| [&[kind][..], &length.to_be_bytes()].concat();
        for bad in [
            long(b'Z', 0),
            long(b'J', 64 * 1024 + 1),
            long(b'P', 257),
            long(b'B', (16 << 20) + 1),
            long(b'B', u32::MAX),
            long(b'X', 1),
            long(b'O', 128 * 1024 + 6),
            long(b'J', 3),
            vec![b'J', 0],
        ] {
            let mut bytes = Vec::new();
            assert!(read(&mut &bad[..], &mut bytes).is_err(), "{bad:?}");
            assert!(bytes.len() <= 3);
        }
    }
}
