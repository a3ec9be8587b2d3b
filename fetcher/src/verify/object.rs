//! What is signed, out of the mirror: the followed tag if it is signed, or else the commit.

use git2::{ErrorCode, Oid};

use super::error::VerifyError;
use crate::git::{Mirror, Revision, text};

/// A signed text and its signature, both as they are in the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedObject {
    /// The object's name in a message.
    pub what: String,
    /// What the signature stands on.
    pub payload: Vec<u8>,
    /// The signature in its armour; empty if there is none.
    pub signature: Vec<u8>,
}

/// First lines of the armours git knows, with what they are called in a message.
const ARMOURS: [(&str, &str); 4] = [
    ("-----BEGIN SSH SIGNATURE-----", "an SSH"),
    ("-----BEGIN PGP SIGNATURE-----", "a PGP"),
    ("-----BEGIN PGP MESSAGE-----", "a PGP"),
    ("-----BEGIN SIGNED MESSAGE-----", "an X.509"),
];

impl SignedObject {
    /// What vouches for `followed`, which has been fetched into `mirror`.
    ///
    /// A tag's signature is the one that counts, good or bad; a tag without one leaves it to the
    /// commit, as a branch does.
    ///
    /// # Errors
    /// An object cannot be read, or the tag was signed under another name than it was found.
    pub fn of(mirror: &Mirror, followed: &Revision) -> Result<Self, VerifyError> {
        if followed.id == followed.commit {
            let what = format!("the commit {}", short(followed.commit));
            return Self::of_commit(mirror, followed.commit, what);
        }
        let tag = Self::of_tag(mirror, followed)?;
        if !tag.signature.is_empty() {
            return Ok(tag);
        }
        let what = format!(
            "the commit {} ({} is not signed)",
            short(followed.commit),
            tag.what
        );
        Self::of_commit(mirror, followed.commit, what)
    }

    fn of_commit(mirror: &Mirror, id: Oid, what: String) -> Result<Self, VerifyError> {
        let repository = mirror.repository();
        let failed = |error: git2::Error| unreadable(what.clone(), &error);
        let commit = repository.find_commit(id).map_err(failed)?;
        let signed = match commit.header_field_bytes("gpgsig") {
            Ok(_) => repository.extract_signature(&id, None).map(Some),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let Some((signature, payload)) = signed.map_err(failed)? else {
            return Ok(Self {
                what,
                payload: Vec::new(),
                signature: Vec::new(),
            });
        };
        // libgit2 leaves out every line that looks like a signature's, wherever it stands. So that
        // nothing depends on which, the signed text must name the very files and parents that are
        // deployed.
        let head = std::iter::once(format!("tree {}\n", commit.tree_id()));
        let head = head.chain(commit.parent_ids().map(|id| format!("parent {id}\n")));
        let head: String = head.chain(["author ".to_owned()]).collect();
        if !payload.starts_with(head.as_bytes()) {
            let said = "the signed text names other files or parents than the commit".to_owned();
            return Err(VerifyError::Bad { what, said });
        }
        Ok(Self {
            what,
            payload: payload.to_vec(),
            signature: signature.to_vec(),
        })
    }

    fn of_tag(mirror: &Mirror, followed: &Revision) -> Result<Self, VerifyError> {
        let name = followed.reference.strip_prefix("refs/tags/");
        let what = format!(
            "the tag {}",
            text::line(name.unwrap_or(&followed.reference).as_bytes())
        );
        let failed = |error: git2::Error| unreadable(what.clone(), &error);
        let repository = mirror.repository();
        let tag = repository.find_tag(followed.id).map_err(failed)?;
        let signed_as = tag.name_bytes();
        let odb = repository.odb().map_err(failed)?;
        let object = odb.read(followed.id).map_err(failed)?;
        let (payload, signature) = split(object.data());
        // A ref is not part of what is signed: without this, whoever can push could show an old
        // tag under a new name.
        if !signature.is_empty() && name.is_some_and(|name| name.as_bytes() != signed_as) {
            return Err(VerifyError::Renamed {
                reference: text::line(followed.reference.as_bytes()),
                name: text::line(signed_as),
            });
        }
        Ok(Self {
            what,
            payload: payload.to_vec(),
            signature: signature.to_vec(),
        })
    }

    /// The signature, if it is one of OpenSSH's.
    ///
    /// # Errors
    /// There is none, or it is of another kind.
    pub fn ssh_signature(&self) -> Result<&[u8], VerifyError> {
        let what = self.what.clone();
        if self.signature.is_empty() {
            return Err(VerifyError::Unsigned { what });
        }
        match armour(&self.signature) {
            Some("an SSH") => Ok(&self.signature),
            Some(kind) => Err(VerifyError::Kind { what, kind }),
            None => Err(VerifyError::Kind {
                what,
                kind: "an unknown kind of",
            }),
        }
    }
}

/// A tag's text and the signature after it. As git has it: what follows the last line that begins
/// an armour is the signature.
fn split(text: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    let mut begin = text.len();
    for line in text.split_inclusive(|b| *b == b'\n') {
        if armour(line).is_some() {
            begin = at;
        }
        at += line.len();
    }
    text.split_at_checked(begin).unwrap_or((text, b""))
}

fn armour(text: &[u8]) -> Option<&'static str> {
    let found = ARMOURS
        .iter()
        .find(|(first, _)| text.starts_with(first.as_bytes()));
    found.map(|(_, kind)| *kind)
}

fn short(id: Oid) -> String {
    let mut text = id.to_string();
    text.truncate(12);
    text
}

fn unreadable(what: String, error: &git2::Error) -> VerifyError {
    VerifyError::Object {
        what,
        why: text::line(error.message().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_split_at_the_last_armour_as_git_does() {
        let tag = b"object x\n\nmessage\n-----BEGIN PGP SIGNATURE-----\nquoted\n\
                    -----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n";
        let (payload, signature) = split(tag);
        assert!(payload.ends_with(b"quoted\n"));
        assert!(signature.starts_with(b"-----BEGIN SSH SIGNATURE-----\nAAAA\n"));
        assert_eq!(
            split(b"object x\n\nmessage\n"),
            (&b"object x\n\nmessage\n"[..], &b""[..])
        );
    }

    #[test]
    fn only_an_ssh_signature_is_one() {
        let signed = |signature: &str| SignedObject {
            what: "the commit 1".into(),
            payload: Vec::new(),
            signature: signature.into(),
        };
        assert!(
            signed("-----BEGIN SSH SIGNATURE-----\n")
                .ssh_signature()
                .is_ok()
        );
        for (signature, expected) in [
            ("", "is not signed"),
            ("-----BEGIN PGP SIGNATURE-----\n", "a PGP signature"),
            ("-----BEGIN SIGNED MESSAGE-----\n", "an X.509 signature"),
            ("gibberish", "an unknown kind of signature"),
            (" -----BEGIN SSH SIGNATURE-----\n", "an unknown kind"),
        ] {
            let error = signed(signature).ssh_signature().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
