//! Whether a revision is signed by somebody who may: SSH signatures of commits and tags.
//!
//! ```text
//!  mirror ──▶ object: signature, signed text ──▶ keygen: ssh-keygen -Y … ──▶ said: what it means
//! ```
//!
//! - [`object`]: what is signed, out of the mirror: the followed tag, or else the commit.
//! - [`keygen`]: OpenSSH asked about it. Principals, namespaces, validity and certificate
//!   authorities are its own rules, kept in a file that `ssh-keygen(1)` calls allowed signers.
//! - [`said`]: its answers read, with its real texts as fixtures.
//! - [`error`]: why a revision is not taken. Everything that is not a good signature is one.

pub(crate) mod error;
pub(crate) mod keygen;
pub(crate) mod object;
pub(crate) mod said;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub(crate) use error::VerifyError;
pub(crate) use keygen::Keygen;
pub(crate) use object::SignedObject;
pub(crate) use said::Signer;

use said::{Doubt, Key};

/// Most principals of one key that are tried. The file's line that names more has its first ones
/// tried.
const MOST_PRINCIPALS: usize = 32;

/// Who signed `object`, if `allowed` lets them.
///
/// Validity is looked up for this moment, not for the time written in the commit: that time is the
/// signer's own word, and the holder of a key that has expired would write an earlier one.
///
/// # Errors
/// [`VerifyError`]: anything but a good signature of somebody who may.
pub(crate) fn check(
    object: &SignedObject,
    allowed: &Path,
    keygen: &Keygen,
) -> Result<Signer, VerifyError> {
    let what = || object.what.clone();
    let signature = object.ssh_signature()?;
    usable(allowed)?;
    let asked = keygen.ask(signature, &object.payload)?;
    let found = asked.principals(allowed)?;
    let principals = said::principals(&found);
    if principals.is_empty() {
        let intact = asked.whoever()?;
        return Err(match said::key(&intact) {
            Some(Key { kind, fingerprint }) => VerifyError::Unknown {
                what: what(),
                key: format!("{kind} {fingerprint}"),
                file: allowed.to_owned(),
                said: said::remarks(&found),
            },
            None => VerifyError::Bad {
                what: what(),
                said: said::remarks(&intact),
            },
        });
    }
    let mut doubts = Vec::new();
    for principal in principals.into_iter().take(MOST_PRINCIPALS) {
        let verified = asked.signed_by(&principal, allowed)?;
        match said::signer(&verified, &principal) {
            Ok(signer) => return Ok(signer),
            Err(Doubt::Bad(said)) => return Err(VerifyError::Bad { what: what(), said }),
            Err(Doubt::NotAllowed(why)) => doubts.push(format!("{principal}: {why}")),
        }
    }
    Err(VerifyError::NotAllowed {
        what: what(),
        file: allowed.to_owned(),
        said: doubts.join("; "),
    })
}

/// The file can be read, and not everybody can write themselves into it. Told here, because
/// ssh-keygen says of a file it cannot read what it says of one in which nobody is found.
fn usable(allowed: &Path) -> Result<(), VerifyError> {
    let refused = |why: String| VerifyError::File {
        file: allowed.to_owned(),
        why,
    };
    let read = File::open(allowed).and_then(|file| file.metadata());
    let found = read.map_err(|error| refused(error.to_string()))?;
    if !found.is_file() {
        return Err(refused("it is not a file".to_owned()));
    }
    let everybody = |mode: fs::Permissions| mode.mode() & 0o002 != 0;
    if everybody(found.permissions()) {
        return Err(refused("everybody on this host may write it".to_owned()));
    }
    Ok(())
}
