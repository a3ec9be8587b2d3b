//! Makes the refusals that name a path of the tree, fit for a terminal.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use pp_objects::ObjectId;

use super::error::{CheckoutError, Refusal};
use super::name;

/// Returns the error for an entry of the tree that is never deployed.
pub(super) fn refused(path: &Path, why: Refusal) -> CheckoutError {
    CheckoutError::Refused {
        path: name::display_path(path.as_os_str().as_bytes()),
        why,
    }
}

/// Returns the error for an object whose id is right, but whose content is not as git writes it.
pub(super) fn malformed(path: &Path, id: ObjectId, kind: &'static str) -> CheckoutError {
    CheckoutError::Malformed {
        path: name::display_path(path.as_os_str().as_bytes()),
        id,
        kind,
    }
}
