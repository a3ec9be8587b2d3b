//! The lock of an app: one process at a time works on it. An flock, which the kernel releases when the
//! process ends.

use std::fs::File;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

use super::open;

/// The lock of an app, held until this value is dropped.
#[derive(Debug)]
pub struct Lock {
    _held: Flock<File>,
}

/// The result of trying to take a lock.
#[derive(Debug)]
pub enum LockAttempt {
    /// This process holds the lock now.
    Held(Lock),
    /// Another process holds the lock: it is working on this app.
    Busy,
}

/// Takes the lock file `below` the directory `base` if no other process holds it; makes the file if needed.
///
/// # Errors
/// The lock file cannot be opened.
pub(crate) fn try_lock(base: &Path, below: &Path) -> std::io::Result<LockAttempt> {
    lock(open::open(base, below, OFlag::O_CREAT | OFlag::O_WRONLY)?)
}

/// Takes the lock file `below` the directory `base` if no other process holds it; `None` if there is no such
/// file.
///
/// # Errors
/// The lock file cannot be opened.
pub(super) fn try_lock_if_there(base: &Path, below: &Path) -> std::io::Result<Option<LockAttempt>> {
    match open::open(base, below, OFlag::O_WRONLY) {
        Ok(file) => lock(file).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn lock(file: File) -> std::io::Result<LockAttempt> {
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(held) => Ok(LockAttempt::Held(Lock { _held: held })),
        Err((_, Errno::EWOULDBLOCK)) => Ok(LockAttempt::Busy),
        Err((_, errno)) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_30_the_second_one_is_told_and_the_lock_dies_with_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = Path::new("lock");
        let LockAttempt::Held(first) = try_lock(dir.path(), path).unwrap() else {
            panic!("nobody has it")
        };
        assert!(matches!(
            try_lock(dir.path(), path).unwrap(),
            LockAttempt::Busy
        ));
        drop(first);
        assert!(matches!(
            try_lock(dir.path(), path).unwrap(),
            LockAttempt::Held(_)
        ));
    }
}
