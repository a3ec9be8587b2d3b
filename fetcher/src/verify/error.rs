//! Why a revision is not taken for signed: what happened, to what, why, and what to do.

use std::path::PathBuf;

use thiserror::Error;

use crate::deploy::FailureClass;
use crate::process::ask::AskError;

/// Anything but a good signature of somebody who may. `what` is the commit or the tag.
#[derive(Debug, Error)]
pub(crate) enum VerifyError {
    /// There is no signature at all.
    #[error(
        "{what} is not signed, and `verify.allowed_signers` asks for it\n  \
         sign with an SSH key: git config gpg.format ssh; git config user.signingKey KEY.pub; \
         git commit -S (or git tag -s)"
    )]
    Unsigned {
        /// The object.
        what: String,
    },
    /// A signature of another kind.
    #[error(
        "{what} has {kind} signature, and only SSH signatures are checked\n  \
         sign with an SSH key: git config gpg.format ssh; git config user.signingKey KEY.pub"
    )]
    Kind {
        /// The object.
        what: String,
        /// Which, with its article.
        kind: &'static str,
    },
    /// The signature is not one of what it stands on.
    #[error(
        "the signature of {what} is bad ({said}): it was changed after it was signed, or the \
         signature was made for something else\n  find out who pushed it before anything else; \
         a commit that is signed anew is taken"
    )]
    Bad {
        /// The object.
        what: String,
        /// What ssh-keygen says.
        said: String,
    },
    /// The tag is signed, under another name.
    #[error(
        "the tag that was fetched as {reference} is signed under the name {name:?}: somebody gave an \
         old tag a new name\n  find out who pushed it before anything else"
    )]
    Renamed {
        /// The ref it was found under.
        reference: String,
        /// The name it was signed with.
        name: String,
    },
    /// The signature is good, and nobody knows whose it is.
    #[error(
        "{what} is signed with the key {key}, and {} does not let that key sign now{}\n  \
         add its line there if it may (see ALLOWED SIGNERS in ssh-keygen(1)), or sign with a key \
         that is in it",
        file.display(), heard(said)
    )]
    Unknown {
        /// The object.
        what: String,
        /// The key's kind and fingerprint.
        key: String,
        /// The allowed signers.
        file: PathBuf,
        /// What ssh-keygen says about lines of that file.
        said: String,
    },
    /// The signer is known, and may not sign this.
    #[error(
        "{what} is signed by somebody whom {} does not let sign it ({said})\n  \
         the line must allow the namespace \"git\"",
        file.display()
    )]
    NotAllowed {
        /// The object.
        what: String,
        /// The allowed signers.
        file: PathBuf,
        /// Who, and what ssh-keygen says.
        said: String,
    },
    /// The file of allowed signers is of no use.
    #[error(
        "the allowed signers {}: {why}; nothing is deployed without them\n  the user that pp-fetcher \
         runs as must be able to read the file, and only its owner and group to write it",
        file.display()
    )]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// OpenSSH cannot be asked, or gave no answer.
    #[error("{0}\n  nothing is deployed without its answer; the next poll asks again")]
    Ask(#[from] AskError),
    /// The signature cannot be handed to it.
    #[error(
        "no temporary file for the signature: {0}\n  is there room in /tmp, and may this user write?"
    )]
    NoRoom(std::io::Error),
    /// The object cannot be read.
    #[error("{what} cannot be read from the mirror: {why}")]
    Object {
        /// The object.
        what: String,
        /// What libgit2 says.
        why: String,
    },
}

impl VerifyError {
    /// Whose fault it is: the revision's, unless nothing could be said of it.
    #[must_use]
    pub(crate) fn class(&self) -> FailureClass {
        match self {
            Self::Unsigned { .. }
            | Self::Kind { .. }
            | Self::Bad { .. }
            | Self::Renamed { .. }
            | Self::Unknown { .. }
            | Self::NotAllowed { .. } => FailureClass::Revision,
            Self::File { .. } | Self::Ask(_) | Self::NoRoom(_) | Self::Object { .. } => {
                FailureClass::Environment
            }
        }
    }
}

fn heard(said: &str) -> String {
    if said.is_empty() {
        String::new()
    } else {
        format!(" ({said})")
    }
}
