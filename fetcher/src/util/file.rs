//! Opening files that others can replace, and replacing files that others read.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::fcntl::OFlag;
use tempfile::NamedTempFile;

/// Whether a file is to outlast a crash of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    /// Its bytes and its name are on the disk before anything relies on them.
    Yes,
    /// It is written anew soon.
    No,
}

/// Replaces the file at `path` by one with these bytes and permissions, whatever the umask: a reader sees the file before
/// or this one, whole. Until then the new file has a name that begins with `prefix`, in the same directory; a killed process
/// leaves it there.
///
/// # Errors
/// The error of the operating system. The file before is then still there, unless the directory alone could not be synced.
pub(crate) fn replace(
    path: &Path,
    prefix: &str,
    bytes: &[u8],
    mode: u32,
    durable: Durable,
) -> io::Result<()> {
    let new = write_beside(path, prefix, bytes, mode, durable)?;
    put(new, path, durable)
}

/// Writes the file that [`put`] puts at `path`: [`replace`].
///
/// # Errors
/// The error of the operating system.
pub(crate) fn write_beside(
    path: &Path,
    prefix: &str,
    bytes: &[u8],
    mode: u32,
    durable: Durable,
) -> io::Result<NamedTempFile> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut new = tempfile::Builder::new()
        .prefix(prefix)
        .tempfile_in(directory)?;
    new.write_all(bytes)?;
    // The temporary file is made for its owner alone.
    new.as_file()
        .set_permissions(Permissions::from_mode(mode))?;
    if durable == Durable::Yes {
        new.as_file().sync_all()?;
    }
    Ok(new)
}

/// Puts a file of [`write_beside`] in its place.
///
/// # Errors
/// The error of the operating system.
pub(crate) fn put(new: NamedTempFile, path: &Path, durable: Durable) -> io::Result<()> {
    new.persist(path).map_err(|error| error.error)?;
    if durable == Durable::Yes {
        File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()?;
    }
    Ok(())
}

/// Opens a regular file for reading; `None` if `path` leads to another kind of file. A FIFO in place of the file does
/// not make the opening wait.
///
/// # Errors
/// The error of the operating system.
pub(crate) fn open_regular(path: &Path) -> io::Result<Option<File>> {
    let mut options = File::options();
    options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let file = options.open(path)?;
    Ok(file.metadata()?.is_file().then_some(file))
}

/// Opens a regular file as [`open_regular`] does; another kind of file is an error.
///
/// # Errors
/// The error of the operating system, or the file is no regular one.
pub(crate) fn need_regular(path: &Path) -> io::Result<File> {
    open_regular(path)?.ok_or_else(|| io::Error::other("it is no regular file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_with_its_mode_and_a_link_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        std::fs::write(directory.path().join("other"), "other").unwrap();
        std::os::unix::fs::symlink("other", &path).unwrap();
        for (durable, mode) in [(Durable::Yes, 0o640), (Durable::No, 0o644)] {
            replace(&path, ".x-", b"bytes", mode, durable).unwrap();
            let found = path.symlink_metadata().unwrap();
            assert!(found.is_file());
            assert_eq!(found.permissions().mode() & 0o7777, mode);
            assert_eq!(std::fs::read(&path).unwrap(), b"bytes");
        }
        let other = std::fs::read(directory.path().join("other")).unwrap();
        assert_eq!(other, b"other");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
        let gone = directory.path().join("gone/x");
        assert!(replace(&gone, ".x-", b"", 0o600, Durable::No).is_err());
    }
}
