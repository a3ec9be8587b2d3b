//! An id names one content of one kind, and no other.

#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use pp_objects::{Hasher, Kind, ObjectId};

#[test]
fn an_id_names_its_own_content_and_nothing_else() {
    // As `printf 'hello\n' | git hash-object --stdin` gives it.
    let id = ObjectId::parse("ce013625030ba8dba906f756967f9e9ca394464a").unwrap();
    assert!(id.names(Kind::Blob, b"hello\n"));
    for (kind, content) in [
        (Kind::Blob, &b"hello"[..]),
        (Kind::Blob, b"hello\n\n"),
        (Kind::Blob, b"hellp\n"),
        (Kind::Blob, b""),
        (Kind::Commit, b"hello\n"),
        (Kind::Tree, b"hello\n"),
        (Kind::Tag, b"hello\n"),
    ] {
        assert!(!id.names(kind, content), "{kind:?} {content:?}");
    }
}

#[test]
fn a_content_that_comes_in_pieces_has_the_same_id() {
    let whole = ObjectId::of(Kind::Blob, b"hello\n").unwrap();
    let mut hasher = Hasher::new(Kind::Blob, 6);
    for piece in [&b"he"[..], b"", b"llo\n"] {
        hasher.update(piece);
    }
    assert!(hasher.fits());
    assert_eq!(hasher.finish(), Some(whole));
    let mut longer = Hasher::new(Kind::Blob, 5);
    longer.update(b"hello");
    assert!(longer.fits());
    longer.update(b"\n");
    assert!(!longer.fits());
    assert_eq!(longer.finish(), None);
}
