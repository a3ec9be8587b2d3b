//! The containment of the worker: the rights that it gives up before it opens anything.
//!
//! | | |
//! |---|---|
//! | writes | below the mirror |
//! | reads | the same, and `/etc/gitconfig` |
//! | environment | none |
//! | new privileges, programs | none |
//! | sockets, signals, other processes | none |
//! | system calls | an allowlist: the calls for files, memory, threads and time |
//! | limits | no core, 1024 descriptors, 4 GiB a file and of memory |
//!
//! seccomp is required. Landlock is used if the kernel has it (5.19 or later, and switched on): without
//! Landlock the worker can still do no more than read and write files as its user, so it goes on, and
//! reports the lack.

pub(crate) mod files;
pub(crate) mod limits;
pub(crate) mod syscalls;

use std::path::Path;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use thiserror::Error;

/// A right could not be given up. The worker must then read no data from outside.
#[derive(Debug, Error)]
#[error("{what}: {why}")]
pub(crate) struct SandboxError {
    what: &'static str,
    why: String,
}

impl SandboxError {
    /// Returns a function for `map_err`.
    fn at<E: ToString>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |why| Self {
            what,
            why: why.to_string(),
        }
    }
}

/// Contains this process, which must have one thread, to the mirror. Returns what the kernel cannot enforce.
///
/// # Errors
/// [`SandboxError`].
pub(crate) fn enter(mirror: &Path) -> Result<Option<String>, SandboxError> {
    bare()?;
    let lacking = files::only(mirror)?;
    syscalls::only_files()?;
    Ok(lacking)
}

/// Gives up the rights that any kernel lets a process give up: no new privileges, an end with its parent, limits.
///
/// # Errors
/// [`SandboxError`].
pub(crate) fn bare() -> Result<(), SandboxError> {
    // If the parent has died already, its end of the pipe is closed, and the first read ends the worker.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(SandboxError::at("no end with the parent"))?;
    prctl::set_no_new_privs().map_err(SandboxError::at("new privileges cannot be ruled out"))?;
    prctl::set_dumpable(false).map_err(SandboxError::at("memory cannot be closed to others"))?;
    limits::set()
}
