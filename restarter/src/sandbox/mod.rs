//! What each process gives up before it serves anybody.
//!
//! | | front | monitor |
//! |---|---|---|
//! | user | `pp-restarter`, no supplementary group | root |
//! | capabilities | none, none to be had | none, none to be had |
//! | no new privileges | yes | yes |
//! | Landlock | no file, no TCP, no signal or abstract socket beyond itself | – (it connects to the bus) |
//! | seccomp | an allowlist of what an event loop needs | the same, and `socket(AF_UNIX)`, `connect` |
//!
//! A root process without capabilities is *not* contained: systemd obeys uid 0. So only the front ever
//! sees a client's bytes.

pub mod files;
pub mod privileges;
pub mod syscalls;

use thiserror::Error;

/// A right could not be given up. The process must not serve anybody then.
#[derive(Debug, Error)]
#[error("{what}: {why}")]
pub struct Failed {
    /// What was tried.
    what: &'static str,
    /// What came of it.
    why: String,
}

impl Failed {
    /// For `map_err`.
    fn at<E: ToString>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |why| Self {
            what,
            why: why.to_string(),
        }
    }
}

/// Contains the front. It must run as its own user already, and with one thread.
///
/// # Errors
/// [`Failed`]: nobody may be served.
pub fn front() -> Result<Option<String>, Failed> {
    privileges::assert_unprivileged()?;
    privileges::give_up()?;
    let lacking = files::none()?;
    syscalls::front()?;
    Ok(lacking)
}

/// Contains the monitor, after it has started the front.
///
/// # Errors
/// [`Failed`]: nobody may be served.
pub fn monitor() -> Result<(), Failed> {
    privileges::give_up()?;
    syscalls::monitor()
}
