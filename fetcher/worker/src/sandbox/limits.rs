//! The resource limits of a worker.

use nix::sys::resource::{Resource, setrlimit};

use super::SandboxError;

/// The most bytes of one file: a pack has at most 2 GiB, and the objects that its deltas need are added to it.
const FILE: u64 = 4 << 30;

/// The most bytes of memory: four threads hold a file and the base of its delta, each of at most 512 MiB.
const MEMORY: u64 = 4 << 30;

/// The most descriptors: each pack takes one, and the mirror is tidied at fifty packs.
const DESCRIPTORS: u64 = 1024;

/// Sets the limits, for good.
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
        // A lower limit that is set already stays.
        let (_, hard) =
            nix::sys::resource::getrlimit(resource).map_err(SandboxError::at("limits"))?;
        let most = most.min(hard);
        setrlimit(resource, most, most).map_err(SandboxError::at("a limit cannot be set"))?;
    }
    Ok(())
}
