//! The id of an object: the SHA-1 of its kind, its length and its content.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The id of a git object: a SHA-1, written as forty lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectId([u8; ObjectId::LENGTH]);

/// The kind of a git object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The content of a file, or the target of a symbolic link.
    Blob,
    /// A directory.
    Tree,
    /// A commit.
    Commit,
    /// An annotated tag.
    Tag,
}

impl Kind {
    /// Returns git's word for the kind.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Tree => "tree",
            Self::Commit => "commit",
            Self::Tag => "tag",
        }
    }
}

impl ObjectId {
    /// The length of an id in bytes.
    pub const LENGTH: usize = 20;

    /// The number of an id's digits that are shown: enough to be unique in any repository people deploy.
    const SHORT: usize = 12;

    /// Returns the id with these bytes; `None` if there are more or fewer than twenty.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Parses an id from forty lower-case hexadecimal digits.
    ///
    /// # Errors
    /// A sentence that says what an id looks like.
    pub fn parse(hex: &str) -> Result<Self, String> {
        Self::from_hex(hex.as_bytes())
            .ok_or_else(|| "a revision is 40 hexadecimal digits".to_owned())
    }

    /// Parses an id as [`Self::parse`] does, from bytes that need not be text.
    #[must_use]
    pub fn from_hex(hex: &[u8]) -> Option<Self> {
        if hex.len() != 2 * Self::LENGTH {
            return None;
        }
        let mut bytes = [0; Self::LENGTH];
        for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            let &[high, low] = pair else { return None };
            *byte = digit(high)? << 4 | digit(low)?;
        }
        Some(Self(bytes))
    }

    /// Returns the twenty bytes of the id.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the first twelve digits, which is how people are shown an id.
    #[must_use]
    pub fn short(&self) -> String {
        let mut digits = self.to_string();
        digits.truncate(Self::SHORT);
        digits
    }

    /// Returns the id of the object of this kind and content; `None` if the content is one of the known attacks on
    /// SHA-1, by which two objects can have the same id.
    #[must_use]
    pub fn of(kind: Kind, content: &[u8]) -> Option<Self> {
        let mut hasher = Hasher::new(kind, content.len() as u64);
        hasher.update(content);
        hasher.finish()
    }

    /// Returns whether `content` is that of the object with this id.
    #[must_use]
    pub fn names(&self, kind: Kind, content: &[u8]) -> bool {
        Self::of(kind, content).is_some_and(|id| id == *self)
    }
}

/// Computes the id of an object whose content comes in pieces.
pub struct Hasher {
    hash: sha1dc::Hasher,
    /// Bytes that are still to come; `None` after more bytes than announced.
    left: Option<u64>,
}

impl Hasher {
    /// Starts the hash of an object that is `length` bytes long.
    #[must_use]
    pub fn new(kind: Kind, length: u64) -> Self {
        let mut hash = sha1dc::Hasher::new();
        hash.update(format!("{} {length}\0", kind.as_str()).as_bytes());
        Self {
            hash,
            left: Some(length),
        }
    }

    /// Whether the content so far is no longer than was said.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.left.is_some()
    }

    /// Adds the next piece of the content.
    pub fn update(&mut self, piece: &[u8]) {
        self.left = self
            .left
            .and_then(|left| left.checked_sub(piece.len() as u64));
        self.hash.update(piece);
    }

    /// Returns the id; `None` if the content was longer or shorter than announced, or is a known attack on SHA-1.
    #[must_use]
    pub fn finish(self) -> Option<ObjectId> {
        if self.left != Some(0) {
            return None;
        }
        let digest = self.hash.finalize().ok()?;
        Some(ObjectId(digest.to_bytes()))
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ObjectId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl TryFrom<String> for ObjectId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<ObjectId> for String {
    fn from(id: ObjectId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "ce013625030ba8dba906f756967f9e9ca394464a";

    #[test]
    fn names_are_gits() {
        let name = |kind, content: &[u8]| ObjectId::of(kind, content).unwrap().to_string();
        assert_eq!(
            name(Kind::Blob, b""),
            "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
        );
        assert_eq!(
            name(Kind::Tree, b""),
            "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
        );
        assert_eq!(name(Kind::Blob, b"hello\n"), HELLO);
    }

    #[test]
    fn a_name_is_read_as_it_is_written() {
        assert_eq!(ObjectId::parse(HELLO).unwrap().to_string(), HELLO);
        assert_eq!(ObjectId::parse(HELLO).unwrap().short(), "ce013625030b");
        for bad in ["", "ce", &HELLO.to_uppercase(), &format!("{HELLO}0")] {
            assert!(ObjectId::parse(bad).is_err(), "{bad}");
        }
        let json = serde_json::to_string(&ObjectId::parse(HELLO).unwrap()).unwrap();
        assert_eq!(json, format!("{HELLO:?}"));
        assert!(serde_json::from_str::<ObjectId>("\"../../etc\"").is_err());
    }

    #[test]
    fn content_in_pieces_has_the_same_name_and_of_another_length_none() {
        let id = |length, pieces: &[&[u8]]| {
            let mut hasher = Hasher::new(Kind::Blob, length);
            pieces.iter().for_each(|piece| hasher.update(piece));
            hasher.finish().map(|id| id.to_string())
        };
        assert_eq!(id(6, &[b"hel", b"", b"lo\n"]).as_deref(), Some(HELLO));
        assert_eq!(id(6, &[b"hello"]), None);
        assert_eq!(id(5, &[b"hello", b"\n"]), None);
    }
}
