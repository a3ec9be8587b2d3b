//! The rights that each process gives up before it serves anybody.
//!
//! | | front | monitor |
//! |---|---|---|
//! | user | `pp-restarter`, no supplementary group | root |
//! | capabilities | none, none to be had | none, none to be had |
//! | no new privileges | yes | yes |
//! | Landlock | no file, no TCP, no signal or abstract socket beyond itself | – (it connects to the bus) |
//! | seccomp | an allowlist of what an event loop needs | the same, and `socket(AF_UNIX)`, `connect` |
//!
//! A root process without capabilities is *not* contained, because systemd obeys uid 0. So only the front
//! ever sees a client's bytes.

pub(crate) mod files;
pub(crate) mod privileges;
pub(crate) mod syscalls;

use thiserror::Error;

/// The error that a right could not be given up. The process must not serve anybody then.
#[derive(Debug, Error)]
#[error("{what}: {why}")]
pub struct SandboxError {
    /// The step that failed.
    what: &'static str,
    /// Why the step failed, mostly the text of an error.
    why: String,
}

impl SandboxError {
    /// Returns a function for `map_err`, which makes an error of the step `what` into a [`SandboxError`].
    fn at<E: ToString>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |why| Self {
            what,
            why: why.to_string(),
        }
    }
}

/// Contains the front, which must run as its own user already, and with one thread. Returns a sentence about
/// what the kernel cannot enforce, if there is anything.
///
/// # Errors
/// [`SandboxError`]: a right could not be given up; nobody may be served.
pub fn front() -> Result<Option<String>, SandboxError> {
    privileges::assert_unprivileged()?;
    privileges::give_up()?;
    let lacking = files::none()?;
    syscalls::front()?;
    Ok(lacking)
}

/// Contains the monitor, after it has started the front.
///
/// # Errors
/// [`SandboxError`]: a right could not be given up; nobody may be served.
pub fn monitor() -> Result<(), SandboxError> {
    privileges::give_up()?;
    syscalls::monitor()
}
