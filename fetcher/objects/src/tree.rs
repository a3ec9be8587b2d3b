//! The parser of trees.

use super::id::ObjectId;

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The entry's kind and permissions.
    pub mode: u32,
    /// The entry's name.
    pub name: Vec<u8>,
    /// The id of the entry's object.
    pub id: ObjectId,
}

/// [`Entry::kind`] of a directory.
pub const DIRECTORY: u32 = 0o040_000;

/// [`Entry::kind`] of a file.
pub const FILE: u32 = 0o100_000;

/// [`Entry::kind`] of a symbolic link.
pub const LINK: u32 = 0o120_000;

/// [`Entry::kind`] of a submodule: its id is a commit of another repository.
pub const GITLINK: u32 = 0o160_000;

impl Entry {
    /// Returns the kind of the entry: the mode without the permissions.
    #[must_use]
    pub fn kind(&self) -> u32 {
        self.mode & 0o170_000
    }
}

/// Parses a tree; `None` if the bytes are not a tree.
#[must_use]
pub fn tree(raw: &[u8]) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut rest = raw;
    while !rest.is_empty() {
        let space = rest.iter().position(|&b| b == b' ')?;
        let mode = mode(rest.get(..space)?)?;
        rest = rest.get(space + 1..)?;
        let end = rest.iter().position(|&b| b == 0)?;
        let name = rest.get(..end)?.to_vec();
        let (id, after) = rest.get(end + 1..)?.split_at_checked(ObjectId::LENGTH)?;
        let id = ObjectId::from_bytes(id)?;
        entries.push(Entry { mode, name, id });
        rest = after;
    }
    Some(entries)
}

fn mode(octal: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(octal).ok()?;
    let all = !digits.is_empty() && digits.len() <= 7 && digits.bytes().all(|b| b.is_ascii_digit());
    all.then(|| u32::from_str_radix(digits, 8).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_read_and_a_cut_one_is_not() {
        let mut raw = b"100644 a b\0".to_vec();
        raw.extend([7; 20]);
        raw.extend(b"40000 d\0");
        raw.extend([8; 20]);
        let read = tree(&raw).unwrap();
        assert_eq!(
            (read[0].mode, read[0].name.as_slice()),
            (0o100_644, &b"a b"[..])
        );
        assert_eq!(
            (read[1].mode, read[1].id),
            (0o40_000, ObjectId::from_bytes(&[8; 20]).unwrap())
        );
        for cut in 1..raw.len() {
            if cut != 31 {
                assert_eq!(tree(&raw[..cut]), None, "{cut}");
            }
        }
        assert_eq!(tree(b""), Some(Vec::new()));
        assert_eq!(tree(b"+644 a\0aaaaaaaaaaaaaaaaaaaa"), None);
    }
}
