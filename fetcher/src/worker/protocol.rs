//! What is said between us and the worker: frames over its standard input and output.
//!
//! A frame is a kind (one byte), a length (four bytes, big-endian) and that many bytes. Requests,
//! answers and progress are JSON; packs and objects are bytes as they are. Every length is checked
//! before anything is kept.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::tree::TreeRules;

/// Most bytes of JSON in a frame.
pub const MOST_JSON: usize = 64 * 1024;

/// Most bytes of anything in a frame: a tree of two hundred thousand entries has fewer.
pub const MOST_BYTES: usize = 16 << 20;

/// Length of what stands before a frame's bytes.
pub const HEAD: usize = 5;

/// Most characters of an error's text.
pub const MOST_TEXT: usize = 8_000;

/// What is in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request, or the answer to one.
    Json,
    /// How far it has come.
    Progress,
    /// A piece of a pack, or the content of an object. An empty one ends a pack.
    Bytes,
    /// The pack does not go on.
    BrokenOff,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Json => b'J',
            Self::Progress => b'P',
            Self::Bytes => b'B',
            Self::BrokenOff => b'X',
        }
    }

    fn limit(self) -> usize {
        match self {
            Self::Json => MOST_JSON,
            Self::Progress => 256,
            Self::Bytes => MOST_BYTES,
            Self::BrokenOff => 0,
        }
    }
}

/// What we ask of the worker.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// What to tell the server is here already, if this object is to be fetched and kept under that
    /// name.
    Haves(String, String),
    /// Take the pack whose pieces follow, and which is to bring this object; the server's own history
    /// ends at these commits.
    Receive(String, Vec<String>),
    /// Keep this object, just fetched, under that name, and say which commit it is.
    KeepAs(String, String),
    /// The content of an object.
    Object(String),
    /// The commits from the second back to the first, if the first is among its ancestors.
    Chain(String, String),
    /// This revision is live: pin it, and tidy if there are many packs.
    Keep(String),
    /// Write the files of this revision into the directory, with submodules at these paths, and these
    /// exceptions.
    CheckOut(String, BTreeSet<PathBuf>, TreeRules),
}

/// What the worker answers. Nothing of it is believed.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// It is contained, and what it is to work on is open; what the kernel could not enforce.
    Ready(Option<String>),
    /// It is here already.
    Here,
    /// It is not; these commits are, with a history that ends at those.
    Haves(Vec<String>, Vec<String>),
    /// The pack was taken: how many objects it had.
    Received(u64),
    /// The commit.
    Commit(String),
    /// Done.
    Done,
    /// The bytes asked for follow in a frame of their own.
    Bytes,
    /// It could not be done.
    Failed(Trouble, String),
}

/// Why something could not be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trouble {
    /// The mirror is damaged: it may be set aside and begun anew.
    Broken,
    /// The pack is refused.
    Pack,
    /// The tree is refused: the revision's own fault.
    Tree,
    /// What was fetched is no commit, but something of this kind.
    NoCommit,
    /// Anything else.
    Other,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Progress {
    /// Bytes of the pack.
    pub bytes: u64,
    /// Objects indexed, or files written.
    pub done: u64,
    /// Of how many.
    pub of: u64,
}

/// Puts a frame together.
#[must_use]
pub fn frame(kind: Kind, bytes: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEAD + bytes.len());
    frame.push(kind.code());
    // Nobody hands over more than the limit, which is far below what four bytes hold.
    frame.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend(bytes);
    frame
}

/// A frame of JSON.
///
/// # Errors
/// It is longer than allowed.
pub fn json(kind: Kind, value: &impl Serialize) -> io::Result<Vec<u8>> {
    let text = serde_json::to_vec(value)?;
    if text.len() > kind.limit() {
        return Err(io::Error::other("too long to be said"));
    }
    Ok(frame(kind, &text))
}

/// What a frame's head says: its kind and its length.
///
/// # Errors
/// No such kind, or a length that is not allowed.
pub fn head(head: [u8; HEAD]) -> io::Result<(Kind, usize)> {
    let [code, length @ ..] = head;
    let kinds = [Kind::Json, Kind::Progress, Kind::Bytes, Kind::BrokenOff];
    let kind = kinds.into_iter().find(|kind| kind.code() == code);
    let kind = kind.ok_or_else(|| io::Error::other("a frame of an unknown kind"))?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > kind.limit() {
        return Err(io::Error::other("a frame that is too long"));
    }
    Ok((kind, length))
}

/// Reads a frame; none at the end of the stream.
///
/// # Errors
/// It is cut off, or no frame.
pub fn read(from: &mut impl Read, into: &mut Vec<u8>) -> io::Result<Option<Kind>> {
    let mut first = [0; HEAD];
    if from.read(first.get_mut(..1).unwrap_or_default())? == 0 {
        return Ok(None);
    }
    from.read_exact(first.get_mut(1..).unwrap_or_default())?;
    let (kind, length) = head(first)?;
    into.clear();
    into.resize(length, 0);
    from.read_exact(into)?;
    Ok(Some(kind))
}

/// Writes a frame at once.
///
/// # Errors
/// Nobody listens any more.
pub fn write(to: &mut impl Write, frame: &[u8]) -> io::Result<()> {
    to.write_all(frame)?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let text = [frame(Kind::Bytes, b"abc"), frame(Kind::BrokenOff, b"")].concat();
        let mut from = &text[..];
        let mut bytes = Vec::new();
        assert_eq!(read(&mut from, &mut bytes).unwrap(), Some(Kind::Bytes));
        assert_eq!(bytes, b"abc");
        assert_eq!(read(&mut from, &mut bytes).unwrap(), Some(Kind::BrokenOff));
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
            long(b'J', 3),
            vec![b'J', 0],
        ] {
            let mut bytes = Vec::new();
            assert!(read(&mut &bad[..], &mut bytes).is_err(), "{bad:?}");
            assert!(bytes.len() <= 3);
        }
    }
}
