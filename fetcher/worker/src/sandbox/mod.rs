//! What the worker gives up before it opens anything.
//!
//! | | |
//! |---|---|
//! | writes | below the mirror |
//! | reads | the same, and `/etc/gitconfig` |
//! | environment | none |
//! | new privileges, programs | none |
//! | sockets, signals, other processes | none |
//! | system calls | an allowlist of what files and threads need |
//! | limits | no core, 1024 descriptors, 4 GiB a file and of memory |
//!
//! seccomp is required. Landlock is where the kernel has it (5.19 or later, and switched on): without
//! it the worker can still do no more than read and write files as its user, so it goes on, and says
//! so.

pub(crate) mod files;
pub(crate) mod limits;
pub(crate) mod syscalls;

use std::path::Path;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use thiserror::Error;

/// A right could not be given up. Nothing foreign may be looked at then.
#[derive(Debug, Error)]
#[error("{what}: {why}")]
pub(crate) struct SandboxError {
    what: &'static str,
    why: String,
}

impl SandboxError {
    /// For `map_err`.
    fn at<E: ToString>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |why| Self {
            what,
            why: why.to_string(),
        }
    }
}

/// Contains this process, which must have one thread, to the mirror. Gives what the kernel cannot enforce, if anything.
///
/// # Errors
/// [`SandboxError`].
pub(crate) fn enter(mirror: &Path) -> Result<Option<String>, SandboxError> {
    bare()?;
    let lacking = files::only(mirror)?;
    syscalls::only_files()?;
    Ok(lacking)
}

/// What needs no kernel's support: no privileges to be had, an end with its parent, limits.
///
/// # Errors
/// [`SandboxError`].
pub(crate) fn bare() -> Result<(), SandboxError> {
    // If the parent has died already, its end of the pipe is closed, and the first read ends us.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(SandboxError::at("no end with the parent"))?;
    prctl::set_no_new_privs().map_err(SandboxError::at("new privileges cannot be ruled out"))?;
    prctl::set_dumpable(false).map_err(SandboxError::at("memory cannot be closed to others"))?;
    limits::set()
}
