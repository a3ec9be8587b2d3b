//! Checks that a revision is signed by an allowed signer: SSH signatures of commits and tags.
//!
//! ```text
//!  mirror ──▶ object: signature, signed text ──▶ keygen: ssh-keygen -Y … ──▶ said: what it means
//! ```
//!
//! - [`object`]: the signed text and its signature, read from the mirror: of the followed tag, or else of the
//!   commit.
//! - [`keygen`]: OpenSSH is run to check the signature. Principals, namespaces, validity and certificate
//!   authorities follow its own rules, in a file that `ssh-keygen(1)` calls allowed signers.
//! - [`keygen_output`]: the parser of its output, with real texts of OpenSSH as fixtures.
//! - [`error`]: why a revision is not accepted. Every result but a good signature is an error.

pub(crate) mod error;
pub(crate) mod keygen;
pub(crate) mod keygen_output;
pub(crate) mod object;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub(crate) use error::VerifyError;
pub(crate) use keygen::Keygen;
pub(crate) use keygen_output::Signer;
pub(crate) use object::SignedObject;

use keygen_output::{Key, SignatureFault};

/// Most principals of one key that are tried. If the file of allowed signers has more for the key, the first
/// ones are tried.
const MOST_PRINCIPALS: usize = 32;

/// Gives the signer of `object`, if the file `allowed` allows the signer to sign.
///
/// Validity is checked for the present time, not for the time written in the commit: the signer chooses that
/// time, and the holder of an expired key would write an earlier one.
///
/// # Errors
/// [`VerifyError`]: anything but a good signature of an allowed signer.
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
    let principals = keygen_output::principals(&found);
    if principals.is_empty() {
        let intact = asked.check_by_any_key()?;
        return Err(match keygen_output::key(&intact) {
            Some(Key { kind, fingerprint }) => VerifyError::Unknown {
                what: what(),
                key: format!("{kind} {fingerprint}"),
                file: allowed.to_owned(),
                said: keygen_output::remarks(&found),
            },
            None => VerifyError::Bad {
                what: what(),
                said: keygen_output::remarks(&intact),
            },
        });
    }
    let mut doubts = Vec::new();
    for principal in principals.into_iter().take(MOST_PRINCIPALS) {
        let verified = asked.signed_by(&principal, allowed)?;
        match keygen_output::signer(&verified, &principal) {
            Ok(signer) => return Ok(signer),
            Err(SignatureFault::Bad(said)) => return Err(VerifyError::Bad { what: what(), said }),
            Err(SignatureFault::NotAllowed(why)) => doubts.push(format!("{principal}: {why}")),
        }
    }
    Err(VerifyError::NotAllowed {
        what: what(),
        file: allowed.to_owned(),
        said: doubts.join("; "),
    })
}

/// Checks that the file of allowed signers can be read, and that not every user can add lines to it. Checked
/// here, because ssh-keygen prints the same for a file that it cannot read as for a file without a matching
/// line.
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
