//! Finds the signed text of a revision and its signature: those of the followed tag if the tag is signed,
//! otherwise those of the commit. They are read from the bytes of git objects that have been checked against
//! their ids.

use super::error::VerifyError;
use crate::git::listing::ListedRevision;
use crate::util::text;
use pp_objects::commit as proof;

/// A signed text and its signature, both as they are in the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedObject {
    /// The commit or tag, as messages name it.
    pub what: String,
    /// The text that the signature is made for.
    pub payload: Vec<u8>,
    /// The signature in its armour; empty if the object is not signed.
    pub signature: Vec<u8>,
}

/// First lines of the armours that git knows, each with the kind of signature for a message.
const ARMOURS: [(&str, &str); 4] = [
    ("-----BEGIN SSH SIGNATURE-----", "an SSH"),
    ("-----BEGIN PGP SIGNATURE-----", "a PGP"),
    ("-----BEGIN PGP MESSAGE-----", "a PGP"),
    ("-----BEGIN SIGNED MESSAGE-----", "an X.509"),
];

impl SignedObject {
    /// Gives the signature that counts for `followed`. `tag` holds the bytes of the tag object that the
    /// revision was found as, if it was found as one; `commit` those of the commit.
    ///
    /// The signature of a signed tag counts, good or bad; if the tag is not signed, the signature of the
    /// commit counts, as for a branch.
    ///
    /// # Errors
    /// An object cannot be read, or the tag was signed under another name than the one it was found under.
    pub(crate) fn of(
        followed: &ListedRevision,
        tag: Option<&[u8]>,
        commit: &[u8],
    ) -> Result<Self, VerifyError> {
        let Some(tag) = tag else {
            return Self::of_commit(commit, format!("the commit {}", short(followed)));
        };
        let tag = Self::of_tag(followed, tag)?;
        if !tag.signature.is_empty() {
            return Ok(tag);
        }
        let what = format!(
            "the commit {} ({} is not signed)",
            short(followed),
            tag.what
        );
        Self::of_commit(commit, what)
    }

    fn of_commit(raw: &[u8], what: String) -> Result<Self, VerifyError> {
        let (payload, signature, signatures) = unsigned(raw);
        let bad = |said: &str| {
            let (what, said) = (what.clone(), said.to_owned());
            Err(VerifyError::Bad { what, said })
        };
        if signatures > 1 {
            return bad("the commit has more than one signature");
        }
        if signature.is_empty() {
            return Ok(Self {
                what,
                payload: Vec::new(),
                signature: Vec::new(),
            });
        }
        // Whatever was taken for a signature and left out of the signed text, that text must still name the
        // very tree and parents that are deployed.
        let same = |read: &proof::Commit<'_>| {
            proof::commit(&payload)
                .is_some_and(|signed| signed.tree == read.tree && signed.parents == read.parents)
        };
        match proof::commit(raw) {
            None => return Err(unreadable(what)),
            Some(read) if !same(&read) => {
                return bad("the signed text names other files or parents than the commit");
            }
            Some(_) => {}
        }
        Ok(Self {
            what,
            payload,
            signature,
        })
    }

    fn of_tag(followed: &ListedRevision, raw: &[u8]) -> Result<Self, VerifyError> {
        let name = followed.reference.strip_prefix("refs/tags/");
        let what = format!(
            "the tag {}",
            text::line(name.unwrap_or(&followed.reference).as_bytes())
        );
        let signed_as = match proof::tag(raw) {
            Some(tag) => tag.name,
            None => return Err(unreadable(what)),
        };
        let (payload, signature) = split(raw);
        // A ref is not part of the signed text: without this check, anybody who can push could present an old
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

    /// Gives the signature, if it is an SSH signature.
    ///
    /// # Errors
    /// The object is not signed, or its signature is of another kind.
    pub(crate) fn ssh_signature(&self) -> Result<&[u8], VerifyError> {
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

/// Splits a commit into its text without the signature, the signature, and the number of signatures. As git
/// defines it: the header `gpgsig` and its continuation lines are the signature; the header of the signature
/// for the other hash (`gpgsig-sha256`) is left out of the text too.
fn unsigned(raw: &[u8]) -> (Vec<u8>, Vec<u8>, usize) {
    let (mut payload, mut signature, mut count) = (Vec::with_capacity(raw.len()), Vec::new(), 0);
    let mut rest = raw;
    let (mut ours, mut other) = (false, false);
    while !rest.is_empty() {
        let end = rest.iter().position(|&b| b == b'\n');
        let (line, after) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
        if line == b"\n" {
            payload.extend(rest);
            break;
        }
        rest = after;
        let goes_on = line.strip_prefix(b" ");
        match (line.strip_prefix(b"gpgsig "), goes_on) {
            (Some(first), _) => {
                count += 1;
                (ours, other) = (true, false);
                signature.extend(first);
            }
            (None, Some(more)) if ours => signature.extend(more),
            (None, Some(_)) if other => {}
            (None, _) => {
                (ours, other) = (false, line.starts_with(b"gpgsig"));
                if !other {
                    payload.extend(line);
                }
            }
        }
    }
    (payload, signature, count)
}

/// Splits a tag into its text and the signature after it. As git defines it: the signature begins at the last
/// line that begins an armour.
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

fn short(followed: &ListedRevision) -> String {
    let mut text = followed.commit.to_string();
    text.truncate(12);
    text
}

fn unreadable(what: String) -> VerifyError {
    VerifyError::Object {
        what,
        why: "it is not one as git writes them".to_owned(),
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
    fn a_commit_is_parted_from_its_signature_as_git_does() {
        let head = "tree x\nauthor a <a> 1 +0\n";
        let rest = "encoding x\n\nmessage\ngpgsig no\n more\n";
        let signed = format!("{head}gpgsig first\n second\n \n third\ngpgsig-sha256 a\n b\n{rest}");
        let (payload, signature, count) = unsigned(signed.as_bytes());
        assert_eq!(String::from_utf8(payload).unwrap(), format!("{head}{rest}"));
        assert_eq!(signature, b"first\nsecond\n\nthird\n");
        assert_eq!(count, 1);
        let twice = format!("{head}gpgsig a\ngpgsig b\n{rest}");
        assert_eq!(unsigned(twice.as_bytes()).2, 2);
        let plain = format!("{head}{rest}");
        assert_eq!(
            unsigned(plain.as_bytes()),
            (plain.into_bytes(), Vec::new(), 0)
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
