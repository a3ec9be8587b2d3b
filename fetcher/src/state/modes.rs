//! Modes of the state's directories and files: the group may read them, only the apps' user may write them.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nix::unistd::geteuid;

use super::open::DIRECTORY;

/// Mode bits that let the group or others write.
const OTHERS_WRITE: u32 = 0o022;

/// Deepest directory that is looked into: a mirror's objects are five levels below the app's directory.
const DEEPEST: usize = 8;

/// Makes a directory of the state, and removes the group's right to write if an earlier version has given it.
///
/// # Errors
/// The error of the operating system, or a symbolic link in the directory's place.
pub(super) fn make(path: &Path) -> io::Result<()> {
    match fs::create_dir_all(path) {
        Err(error) if !path.is_dir() => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() {
        return Err(io::Error::other(
            "is a symbolic link, which pp-fetcher makes none of",
        ));
    }
    let ours = found.uid() == geteuid().as_raw();
    if ours && found.mode() & OTHERS_WRITE != 0 {
        close(path, 0);
        fs::set_permissions(path, Permissions::from_mode(DIRECTORY))?;
    }
    Ok(())
}

/// Removes the right to write of the group and of others from everything below `path`. An entry whose mode
/// cannot be changed belongs to another user and stays as it is.
fn close(path: &Path, depth: usize) {
    let Ok(entries) = fs::read_dir(path) else {
        return;
    };
    for entry in entries.flatten() {
        let Ok(found) = entry.metadata() else {
            continue;
        };
        if found.file_type().is_symlink() {
            continue;
        }
        let mode = found.mode() & 0o7777;
        if mode & OTHERS_WRITE != 0 {
            let closed = Permissions::from_mode(mode & !OTHERS_WRITE);
            let _ = fs::set_permissions(entry.path(), closed);
        }
        if found.is_dir() && depth < DEEPEST {
            close(&entry.path(), depth + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_version_left_open_to_the_group_is_closed() {
        let base = tempfile::tempdir().unwrap();
        let app = base.path().join("todo");
        make(&app).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!(mode(&app) & OTHERS_WRITE, 0);
        let deep = app.join("mirror.git/objects");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("x"), "").unwrap();
        for (path, open) in [
            (deep.join("x"), 0o664),
            (deep.clone(), 0o2775),
            (app.clone(), 0o2775),
        ] {
            fs::set_permissions(path, Permissions::from_mode(open)).unwrap();
        }
        make(&app).unwrap();
        assert_eq!(mode(&app), DIRECTORY);
        assert_eq!((mode(&deep), mode(&deep.join("x"))), (0o2755, 0o644));
    }
}
