//! One process at a time for each app: an flock, which dies with its process.

use std::fs::{File, OpenOptions};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// The lock, held until dropped.
#[derive(Debug)]
pub struct Lock {
    _held: Flock<File>,
}

/// What came of trying.
#[derive(Debug)]
pub enum Locked {
    /// It is ours.
    Held(Lock),
    /// Another process has it: it is at work on this app now.
    Busy,
}

/// Takes the lock in `path` if nobody has it.
///
/// # Errors
/// The file cannot be opened.
pub fn try_lock(path: &Path) -> std::io::Result<Locked> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(held) => Ok(Locked::Held(Lock { _held: held })),
        Err((_, Errno::EWOULDBLOCK)) => Ok(Locked::Busy),
        Err((_, errno)) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_30_the_second_one_is_told_and_the_lock_dies_with_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let Locked::Held(first) = try_lock(&path).unwrap() else {
            panic!("nobody has it")
        };
        assert!(matches!(try_lock(&path).unwrap(), Locked::Busy));
        drop(first);
        assert!(matches!(try_lock(&path).unwrap(), Locked::Held(_)));
    }
}
