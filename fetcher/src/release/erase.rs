//! Removes the directory of a release, and no data outside of it.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::layout::{Layout, NEXT_LINK, UNFINISHED};
use crate::{crash, mounts};

impl Layout {
    /// Removes what a crash left half-made: links that did not become `current`, and unfinished releases.
    /// Only call it while holding the app's lock.
    pub(crate) fn sweep(&self) {
        let leftovers = |directory: &Path, prefix: &str| -> Vec<PathBuf> {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            let ours = |entry: &fs::DirEntry| {
                entry
                    .file_name()
                    .as_encoded_bytes()
                    .starts_with(prefix.as_bytes())
            };
            entries.filter(ours).map(|entry| entry.path()).collect()
        };
        // An entry that cannot be removed does no harm: its name is never used again.
        for link in leftovers(self.root(), NEXT_LINK) {
            if link != self.back_link() {
                let _ = fs::remove_file(link);
            }
        }
        for unfinished in leftovers(&self.releases(), UNFINISHED) {
            let _ = erase(&unfinished);
        }
    }

    /// Removes a release. Its directory is renamed first, so that a removal that is cut short leaves a
    /// directory that [`Layout::sweep`] recognizes.
    ///
    /// # Errors
    /// The error of the operating system, or a file system is mounted in the release.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.release(name);
        nothing_mounted(&path)?;
        let doomed = self.unfinished(name);
        fs::rename(&path, &doomed)?;
        crash::point("during", "removal");
        erase(&doomed)
    }
}

/// Removes a directory with everything in it, unless a file system is mounted there: the data that is mounted
/// there is not part of the release, however it came there.
///
/// # Errors
/// The error of the operating system, or a file system is mounted in the directory.
pub(super) fn erase(path: &Path) -> io::Result<()> {
    nothing_mounted(path)?;
    match fs::remove_dir_all(path) {
        // Some build tools make the directories that they unpack read-only, and a directory without write
        // permission cannot be emptied.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            make_writable(path);
            fs::remove_dir_all(path)
        }
        other => other,
    }
}

fn nothing_mounted(path: &Path) -> io::Result<()> {
    let canonical = path.canonicalize()?;
    let mut points = mounts::all().into_iter().map(|mount| mount.point);
    match points.find(|point| point.starts_with(&canonical)) {
        None => Ok(()),
        Some(point) => Err(io::Error::other(format!(
            "something is mounted at {}: unmount it, it would be emptied",
            point.display()
        ))),
    }
}

/// Lets the owner write into `directory` and every directory below it. A directory whose mode cannot be
/// changed stays as it is.
fn make_writable(directory: &Path) {
    let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        // The type of the entry itself: a symbolic link is not followed.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_writable(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_only_directories_are_made_writable_and_links_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let release = root.path().join("release");
        let outside = root.path().join("outside");
        fs::create_dir_all(release.join("a/b")).unwrap();
        fs::create_dir(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, release.join("a/link")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let set = |path: &Path| fs::set_permissions(path, PermissionsExt::from_mode(0o555));
        for path in [&release.join("a/b"), &release.join("a"), &outside] {
            set(path).unwrap();
        }
        make_writable(&release);
        assert_eq!(mode(&release.join("a/b")), 0o700);
        assert_eq!(mode(&outside), 0o555);
        erase(&release).unwrap();
        assert!(!release.exists() && outside.exists());
    }
}
