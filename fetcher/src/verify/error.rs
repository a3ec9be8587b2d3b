//! Why a revision is not accepted as signed. Each message states what happened, to what, why, and what to do.

use std::path::PathBuf;

use crate::util::text;
use thiserror::Error;

use crate::deploy::FailureClass;
use crate::process::ask::AskError;

/// Any result but a good signature of an allowed signer. `what` is the commit or the tag.
#[derive(Debug, Error)]
pub(crate) enum VerifyError {
    /// The object has no signature at all.
    #[error(
        "{what} is not signed, and `verify.allowed_signers` asks for it\n  \
         sign with an SSH key: git config gpg.format ssh; git config user.signingKey KEY.pub; \
         git commit -S (or git tag -s)"
    )]
    Unsigned {
        /// The commit or tag.
        what: String,
    },
    /// The object has a signature that is not an SSH signature.
    #[error(
        "{what} has {kind} signature, and only SSH signatures are checked\n  \
         sign with an SSH key: git config gpg.format ssh; git config user.signingKey KEY.pub"
    )]
    Kind {
        /// The commit or tag.
        what: String,
        /// The kind of the signature, with its article.
        kind: &'static str,
    },
    /// The signature does not belong to the text that it is attached to.
    #[error(
        "the signature of {what} is bad ({said}): it was changed after it was signed, or the \
         signature was made for something else\n  find out who pushed it before anything else; \
         a commit that is signed anew is taken"
    )]
    Bad {
        /// The commit or tag.
        what: String,
        /// What ssh-keygen printed.
        said: String,
    },
    /// The tag is signed under another name than the one it was found under.
    #[error(
        "the tag that was fetched as {reference} is signed under the name {name:?}: somebody gave an \
         old tag a new name\n  find out who pushed it before anything else"
    )]
    Renamed {
        /// The ref that the tag was found as.
        reference: String,
        /// The name that the tag was signed with.
        name: String,
    },
    /// The signature is good, but the file of allowed signers does not have its key.
    #[error(
        "{what} is signed with the key {key}, and {} does not let that key sign now{}\n  \
         add its line there if it may (see ALLOWED SIGNERS in ssh-keygen(1)), or sign with a key \
         that is in it",
        file.display(), text::in_parentheses(said)
    )]
    Unknown {
        /// The commit or tag.
        what: String,
        /// The key's kind and fingerprint.
        key: String,
        /// The file of allowed signers.
        file: PathBuf,
        /// What ssh-keygen printed about lines of that file.
        said: String,
    },
    /// The file of allowed signers has the signer, but does not allow this signature.
    #[error(
        "{what} is signed by somebody whom {} does not let sign it ({said})\n  \
         the line must allow the namespace \"git\"",
        file.display()
    )]
    NotAllowed {
        /// The commit or tag.
        what: String,
        /// The file of allowed signers.
        file: PathBuf,
        /// The principals of the key, each with what ssh-keygen printed.
        said: String,
    },
    /// The file of allowed signers cannot be used.
    #[error(
        "the allowed signers {}: {why}; nothing is deployed without them\n  the user that pp-fetcher \
         runs as must be able to read the file, and only its owner and group to write it",
        file.display()
    )]
    File {
        /// The file of allowed signers.
        file: PathBuf,
        /// What is wrong with the file.
        why: String,
    },
    /// OpenSSH cannot be run, or gave no answer.
    #[error("{0}\n  nothing is deployed without its answer; the next poll asks again")]
    Ask(#[from] AskError),
    /// No temporary file can be written that hands the signature to ssh-keygen.
    #[error(
        "no temporary file for the signature: {0}\n  is there room in /tmp, and may this user write?"
    )]
    NoRoom(std::io::Error),
    /// The object cannot be read.
    #[error("{what} cannot be read from the mirror: {why}")]
    Object {
        /// The commit or tag.
        what: String,
        /// Why the object cannot be read.
        why: String,
    },
}

impl VerifyError {
    /// Gives the class of the failure: the revision is to blame, unless it could not be checked at all.
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
