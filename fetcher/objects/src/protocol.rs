//! The messages between `pp-fetcher` and its git worker: frames over the worker's standard input and
//! output.
//!
//! A frame is a kind (one byte), a length (four bytes, big-endian) and that many bytes. Requests,
//! answers and progress are JSON; packs, lists and objects are bytes as they are. Every length is checked
//! before anything is kept.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use crate::{Kind as ObjectKind, ObjectId};

/// The version of these messages. Both programs come in one package; a service that has not been started
/// again since an upgrade finds another worker than its own.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "/2");

/// Most bytes of JSON in a frame.
pub const MOST_JSON: usize = 64 * 1024;

/// Most bytes of anything in a frame: a tree of two hundred thousand entries has fewer.
pub const MOST_BYTES: usize = 16 << 20;

/// Length of what stands before the bytes of a frame.
pub const HEAD: usize = 5;

/// Most characters of the text of an error.
pub const MOST_TEXT: usize = 8_000;

/// Most bytes of an object in one frame: larger ones come in several.
pub const PIECE: usize = 128 * 1024;

/// What is in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request, or the answer to one.
    Json,
    /// How far the worker has come.
    Progress,
    /// A piece of a pack, or a list of ids. An empty one ends a pack.
    Bytes,
    /// The pack does not go on.
    BrokenOff,
    /// A piece of one of several objects: see [`Piece`].
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

/// What the parent asks of the worker.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// What to tell the server is in the mirror already, if this object is to be fetched and kept under
    /// that name.
    Haves(ObjectId, String),
    /// Take the pack whose pieces follow, and which is to bring this object; the server's own history
    /// ends at these commits.
    Receive(ObjectId, Vec<ObjectId>),
    /// Keep this object, just fetched, under that name, and say which commit it stands for.
    KeepAs(ObjectId, String),
    /// The content of the objects whose ids follow in a frame, all of this kind, in [`Piece`]s.
    Objects(ObjectKind),
    /// The sizes of the blobs whose ids follow in a frame: eight bytes each, little-endian.
    Sizes,
    /// The commits from the second back to the first, if the first is among its ancestors.
    Chain(ObjectId, ObjectId),
    /// This revision is live: pin it, and tidy the mirror if there are many packs.
    Keep(ObjectId),
}

/// What the worker answers. Nothing of it is believed.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// The worker is contained and has opened the mirror.
    Ready {
        /// [`VERSION`] of the worker.
        version: String,
        /// What of the containment the kernel could not enforce.
        lacking: Option<String>,
    },
    /// The object is in the mirror already.
    Here,
    /// The object is not in the mirror; these commits are, with a history that ends at those.
    Haves(Vec<ObjectId>, Vec<ObjectId>),
    /// The pack was taken: how many objects it had.
    Received(u64),
    /// The commit.
    Commit(ObjectId),
    /// Done; the bytes or pieces that were asked for stand before it.
    Done,
    /// The request could not be carried out: what kind of reason, the reason in words, and the number of the
    /// kernel's error where that is the reason.
    Failed(FailureKind, String, Option<i32>),
}

/// Why a request could not be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// The mirror is damaged: it may be set aside and begun anew.
    Broken,
    /// The pack is refused.
    Pack,
    /// What was fetched is no commit, but something of this kind.
    NoCommit,
    /// Anything else.
    Other,
}

/// How far the worker has come with a pack.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Progress {
    /// Bytes of the pack.
    pub bytes: u64,
    /// Objects indexed.
    pub done: u64,
    /// Of how many.
    pub of: u64,
}

/// A piece of an object: which of the objects asked for, whether the piece is its last, and the bytes.
/// Pieces of one object come in order, those of several mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Place of the object in the list that was asked for.
    pub index: usize,
    /// Whether the object ends with it.
    pub last: bool,
    /// The bytes.
    pub bytes: &'a [u8],
}

impl<'a> Piece<'a> {
    /// Bytes before the object's own.
    const HEAD: usize = 5;

    /// Reads the content of a frame; none if it is too short to be one.
    #[must_use]
    pub fn read(content: &'a [u8]) -> Option<Self> {
        let (&[a, b, c, d, last], bytes) = content.split_first_chunk()?;
        Some(Self {
            index: usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?,
            last: last == 1,
            bytes,
        })
    }

    /// Adds the piece as a frame.
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
    // Nobody hands over more than the limit, which is far below what four bytes hold.
    to.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

/// Puts a frame together.
#[must_use]
pub fn frame(kind: Kind, bytes: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEAD + bytes.len());
    head(kind, bytes.len(), &mut frame);
    frame.extend(bytes);
    frame
}

/// A frame of JSON.
///
/// # Errors
/// The text is longer than allowed.
pub fn json(kind: Kind, value: &impl Serialize) -> io::Result<Vec<u8>> {
    let text = serde_json::to_vec(value)?;
    if text.len() > kind.limit() {
        return Err(io::Error::other("too long for a message"));
    }
    Ok(frame(kind, &text))
}

/// A frame with a list of ids.
#[must_use]
pub fn ids(ids: &[ObjectId]) -> Vec<u8> {
    let bytes: Vec<u8> = ids.iter().flat_map(ObjectId::as_bytes).copied().collect();
    frame(Kind::Bytes, &bytes)
}

/// The ids of such a list.
pub fn read_ids(bytes: &[u8]) -> impl Iterator<Item = ObjectId> + '_ {
    bytes
        .chunks_exact(ObjectId::LENGTH)
        .filter_map(ObjectId::from_bytes)
}

/// What the head of a frame says: its kind and its length.
///
/// # Errors
/// No such kind, or a length that is not allowed.
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

/// Reads a frame into `into`; none at the end of the stream.
///
/// # Errors
/// The stream ends within the frame, or holds something else.
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
