//! Parsers of commits and annotated tags.

use super::id::{Kind, ObjectId};

/// The most tags in a chain of tags that point to tags: the worker follows no more, nor does pp-fetcher.
pub const MOST_TAGS: usize = 16;

/// The parts of a commit that the project uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit<'a> {
    /// The commit's tree.
    pub tree: ObjectId,
    /// The commit's parents.
    pub parents: Vec<ObjectId>,
    /// The author's name, its bytes unchanged.
    pub author: &'a [u8],
    /// The first paragraph of the message, its bytes unchanged.
    pub subject: &'a [u8],
}

/// The parts of an annotated tag that the project uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag<'a> {
    /// The object that the tag points to.
    pub target: ObjectId,
    /// The kind of that object.
    pub kind: Kind,
    /// The tag's own name.
    pub name: &'a [u8],
}

/// Parses a commit; `None` if the bytes are not a commit.
#[must_use]
pub fn commit(raw: &[u8]) -> Option<Commit<'_>> {
    let (tree, mut rest) = header(raw, b"tree ")?;
    let tree = ObjectId::from_hex(tree)?;
    let mut parents = Vec::new();
    while let Some((parent, after)) = header(rest, b"parent ") {
        parents.push(ObjectId::from_hex(parent)?);
        rest = after;
    }
    // A missing or malformed author is no error: only the author is concerned.
    let (author, rest) = header(rest, b"author ").unwrap_or((b"", rest));
    let end = author.iter().position(|&b| b == b'<');
    let author = author.get(..end.unwrap_or(author.len()))?;
    Some(Commit {
        tree,
        parents,
        author,
        subject: subject(message(rest)),
    })
}

/// Parses an annotated tag; `None` if the bytes are not a tag.
#[must_use]
pub fn tag(raw: &[u8]) -> Option<Tag<'_>> {
    let (target, rest) = header(raw, b"object ")?;
    let (kind, rest) = header(rest, b"type ")?;
    let (name, _) = header(rest, b"tag ")?;
    let kinds = [Kind::Blob, Kind::Tree, Kind::Commit, Kind::Tag];
    Some(Tag {
        target: ObjectId::from_hex(target)?,
        kind: kinds.into_iter().find(|k| k.as_str().as_bytes() == kind)?,
        name,
    })
}

/// Returns the value of the first line, if the line is this header, and the text after the line.
fn header<'a>(text: &'a [u8], name: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let text = text.strip_prefix(name)?;
    let end = text.iter().position(|&b| b == b'\n')?;
    Some((text.get(..end)?, text.get(end + 1..)?))
}

/// Returns the text after the first empty line.
fn message(headers: &[u8]) -> &[u8] {
    if let Some(message) = headers.strip_prefix(b"\n") {
        return message;
    }
    let end = headers.windows(2).position(|two| two == b"\n\n");
    end.and_then(|end| headers.get(end + 2..))
        .unwrap_or_default()
}

fn subject(message: &[u8]) -> &[u8] {
    let message = message.trim_ascii_start();
    let mut end = 0;
    for line in message.split_inclusive(|&b| b == b'\n') {
        if line.trim_ascii().is_empty() {
            break;
        }
        end += line.len();
    }
    message.get(..end).unwrap_or(message).trim_ascii_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "ce013625030ba8dba906f756967f9e9ca394464a";

    #[test]
    fn a_commit_is_read() {
        let raw = format!(
            "tree {A}\nparent {A}\nparent {A}\nauthor Ada L <a@x> 1 +0000\ncommitter B <b@x> 1 +0000\n\
             gpgsig x\n y\n\n\nA change\nof two lines\n \nand why\n"
        );
        let read = commit(raw.as_bytes()).unwrap();
        assert_eq!(read.parents.len(), 2);
        assert_eq!(read.author, b"Ada L ");
        assert_eq!(read.subject, b"A change\nof two lines");
    }

    #[test]
    fn what_is_no_commit_is_not_read_as_one() {
        for raw in [
            String::new(),
            format!("tree {A}"),
            format!("tree {A}x\nauthor a <a> 1 +0\n\nm\n"),
            format!("parent {A}\ntree {A}\nauthor a <a> 1 +0\n\nm\n"),
            format!("tree {A}\nparent \nauthor a <a> 1 +0\n\nm\n"),
        ] {
            assert_eq!(commit(raw.as_bytes()), None, "{raw}");
        }
        let short = format!("tree {A}\nauthor a <a> 1 +0\n");
        assert_eq!(commit(short.as_bytes()).unwrap().subject, b"");
    }

    #[test]
    fn a_tag_is_read() {
        let raw = format!("object {A}\ntype commit\ntag v1\ntagger A <a@x> 1 +0000\n\nfirst\n");
        let read = tag(raw.as_bytes()).unwrap();
        assert_eq!((read.kind, read.name), (Kind::Commit, &b"v1"[..]));
        assert_eq!(
            tag(format!("object {A}\ntype thing\ntag v1\n").as_bytes()),
            None
        );
    }
}
