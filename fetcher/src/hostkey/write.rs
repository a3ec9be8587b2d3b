//! Writes a file of pinned keys, whole or not at all.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use crate::util::file::{Durable, put};

/// Mode of a new file: the fetcher's user must be able to read it, whichever user writes it. Public keys are
/// no secret.
const MODE: u32 = 0o644;

/// Writes `text` to `path`: a new file in the same directory gets the old file's owner and mode, is synced,
/// and is renamed over the old file. If `path` is a symbolic link, the file that it leads to is replaced.
///
/// # Errors
/// The error of the kernel; the old file is then still there, whole.
pub(crate) fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let (path, old) = match fs::canonicalize(path) {
        Ok(real) => {
            let old = fs::metadata(&real)?;
            (real, Some(old))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => (path.to_owned(), None),
        Err(error) => return Err(error),
    };
    let parent = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new()
        .prefix(".known_hosts-")
        .tempfile_in(parent)?;
    file.write_all(text)?;
    let mode = old.as_ref().map_or(MODE, |old| old.mode() & 0o7777);
    if let Some(old) = &old {
        // The owner is changed before the mode, because a change of owner can clear bits of the mode.
        let now = file.as_file().metadata()?;
        if (old.uid(), old.gid()) != (now.uid(), now.gid()) {
            fchown(file.as_file(), Some(old.uid()), Some(old.gid()))?;
        }
    }
    file.as_file()
        .set_permissions(Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    put(file, &path, Durable::Yes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_and_link_stay_and_nothing_is_left_beside() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("real");
        fs::write(&file, "old\n").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write(&link, b"new\n").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new\n");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_new_file_can_be_read_by_everybody() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("known_hosts");
        write(&file, b"x\n").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, MODE);
    }
}
