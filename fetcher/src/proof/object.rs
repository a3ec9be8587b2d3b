//! An object's name: the SHA-1 of its kind, its length and its content.

use std::fmt;
use std::io::{self, Read};

use sha1_checked::{Digest, Sha1};

/// An object's name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id([u8; Id::LENGTH]);

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file's content, or a link's target.
    Blob,
    /// A directory.
    Tree,
    /// A commit.
    Commit,
    /// An annotated tag.
    Tag,
}

impl Kind {
    /// The word git uses.
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

impl Id {
    /// Its length in bytes.
    pub const LENGTH: usize = 20;

    /// The name made of these bytes; none if there are more or fewer than twenty.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The name that these forty lower-case digits are.
    #[must_use]
    pub fn parse(hex: &[u8]) -> Option<Self> {
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

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name of this object; none if the content is one of the known attacks on SHA-1, which two
    /// objects can share a name by.
    #[must_use]
    pub fn of(kind: Kind, content: &[u8]) -> Option<Self> {
        Self::of_reader(kind, content.len() as u64, content).ok()?
    }

    /// The name of an object of `length` bytes that are read here.
    ///
    /// # Errors
    /// It cannot be read, or is not that long.
    pub fn of_reader(kind: Kind, length: u64, content: impl Read) -> io::Result<Option<Self>> {
        let mut hash = Sha1::builder().safe_hash(false).build();
        hash.update(format!("{} {length}\0", kind.as_str()));
        let mut chunk = vec![0; usize::try_from(length).unwrap_or(CHUNK).clamp(1, CHUNK)];
        let mut content = content.take(length.saturating_add(1));
        let mut read = 0;
        loop {
            match content.read(&mut chunk) {
                Ok(0) => break,
                Ok(n) => {
                    read += n as u64;
                    hash.update(chunk.get(..n).unwrap_or_default());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if read != length {
            return Err(io::Error::other("its length changes as it is read"));
        }
        let result = hash.try_finalize();
        if result.has_collision() {
            return Ok(None);
        }
        Ok(Self::from_bytes(result.hash().as_slice()))
    }

    /// Whether `content` is the object of this name.
    #[must_use]
    pub fn names(&self, kind: Kind, content: &[u8]) -> bool {
        Self::of(kind, content).is_some_and(|id| id == *self)
    }
}

/// Most that is hashed at a time.
const CHUNK: usize = 256 * 1024;

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_gits() {
        let name = |kind, content: &[u8]| Id::of(kind, content).unwrap().to_string();
        assert_eq!(
            name(Kind::Blob, b""),
            "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
        );
        assert_eq!(
            name(Kind::Tree, b""),
            "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
        );
        assert_eq!(
            name(Kind::Blob, b"hello\n"),
            "ce013625030ba8dba906f756967f9e9ca394464a"
        );
    }

    #[test]
    fn a_name_is_read_as_it_is_written() {
        let text = "ce013625030ba8dba906f756967f9e9ca394464a";
        assert_eq!(Id::parse(text.as_bytes()).unwrap().to_string(), text);
        for bad in ["", "ce", &text.to_uppercase(), &format!("{text}0")] {
            assert_eq!(Id::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_file_that_grows_or_shrinks_has_no_name() {
        assert!(Id::of_reader(Kind::Blob, 3, &b"ab"[..]).is_err());
        assert!(Id::of_reader(Kind::Blob, 3, &b"abcd"[..]).is_err());
    }
}
