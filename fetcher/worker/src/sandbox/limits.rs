//! What a worker may use up.

use nix::sys::resource::{Resource, setrlimit};

use super::SandboxError;

/// A pack is at most 2 GiB; what its deltas need comes on top.
const FILE: u64 = 4 << 30;

/// Four threads hold a file and what it is a delta of, each of at most 512 MiB.
const MEMORY: u64 = 4 << 30;

/// Each pack is one, and the mirror is tidied at fifty.
const DESCRIPTORS: u64 = 1024;

/// Sets them, for good.
///
/// # Errors
/// [`SandboxError`].
pub(crate) fn set() -> Result<(), SandboxError> {
    for (resource, most) in [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_FSIZE, FILE),
        (Resource::RLIMIT_DATA, MEMORY),
        (Resource::RLIMIT_NOFILE, DESCRIPTORS),
    ] {
        // A lower one that is set already stays.
        let (_, hard) =
            nix::sys::resource::getrlimit(resource).map_err(SandboxError::at("limits"))?;
        let most = most.min(hard);
        setrlimit(resource, most, most).map_err(SandboxError::at("a limit cannot be set"))?;
    }
    Ok(())
}
