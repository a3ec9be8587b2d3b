//! One process at a time for each app: an flock, which dies with its process.

use std::fs::File;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

use super::open;

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

/// Takes the lock `below` the directory `base` if nobody has it.
///
/// # Errors
/// The file cannot be opened.
pub(crate) fn try_lock(base: &Path, below: &Path) -> std::io::Result<Locked> {
    lock(open::open(base, below, OFlag::O_CREAT | OFlag::O_WRONLY)?)
}

/// Takes the lock `below` the directory `base` if nobody has it; `None` where there is no lock yet.
///
/// # Errors
/// The file cannot be opened.
pub(super) fn try_lock_if_there(base: &Path, below: &Path) -> std::io::Result<Option<Locked>> {
    match open::open(base, below, OFlag::O_WRONLY) {
        Ok(file) => lock(file).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn lock(file: File) -> std::io::Result<Locked> {
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
        let path = Path::new("lock");
        let Locked::Held(first) = try_lock(dir.path(), path).unwrap() else {
            panic!("nobody has it")
        };
        assert!(matches!(try_lock(dir.path(), path).unwrap(), Locked::Busy));
        drop(first);
        assert!(matches!(
            try_lock(dir.path(), path).unwrap(),
            Locked::Held(_)
        ));
    }
}
