//! Replacing a file through its directory's open descriptor: the new content is written to a second file in
//! the same directory, synced to disk, and renamed over the old file.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};

use super::{Directory, Refused};

impl Directory {
    /// Makes `bytes` the content of the file `name`, readable by everybody and writable by its owner. A link
    /// or FIFO of that name is replaced, never followed or opened.
    ///
    /// # Errors
    /// [`Refused`]: the disk is full or read-only. The old file is then unchanged.
    pub fn replace(&self, name: &OsStr, bytes: &[u8]) -> Result<(), Refused> {
        let path = self.path.join(name);
        let failed = |error: String| {
            let what = format!("cannot be written ({error})");
            Refused::new(
                &path,
                what,
                "is there room on the disk, and is it writable for root?",
            )
        };
        let mut next = OsString::from(".");
        next.push(name);
        next.push(format!(".{}", std::process::id()));
        let written = self.write_beside(&next, bytes).map_err(&failed);
        let renamed = written.and_then(|()| {
            renameat(self, Path::new(&next), self, Path::new(name))
                .and_then(|()| fsync(self))
                .map_err(|error| failed(error.to_string()))
        });
        if renamed.is_err() {
            let _ = unlinkat(self, Path::new(&next), UnlinkatFlags::NoRemoveDir);
        }
        renamed
    }

    fn write_beside(&self, name: &OsStr, bytes: &[u8]) -> Result<(), String> {
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(0o644);
        let fd = match openat(self, name, flags, mode) {
            // A process with the same process id was killed before it could rename this file. Only the
            // directory's owner can have created it, so it is safe to remove.
            Err(Errno::EEXIST) => unlinkat(self, name, UnlinkatFlags::NoRemoveDir)
                .and_then(|()| openat(self, name, flags, mode)),
            opened => opened,
        }
        .map_err(|error| error.to_string())?;
        let mut file = File::from(fd);
        // The mode given to openat(2) is reduced by the umask of this process; this sets it in full.
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        file.set_permissions(readable)
            .and_then(|()| file.write_all(bytes))
            .and_then(|()| file.sync_all())
            .map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::super::Trust;
    use super::*;

    fn place() -> (tempfile::TempDir, Directory) {
        let top = tempfile::tempdir().unwrap();
        fs::set_permissions(top.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let trust = Trust {
            owner: fs::metadata(top.path()).unwrap().uid(),
            top: top.path().to_owned(),
        };
        let directory = Directory::open(&trust, top.path()).unwrap().unwrap();
        (top, directory)
    }

    #[test]
    fn rule_35_a_file_is_replaced_and_nothing_is_left_beside() {
        let (top, directory) = place();
        let name = OsStr::new("known_hosts");
        for text in ["one\n", "two\n"] {
            directory.replace(name, text.as_bytes()).unwrap();
            assert_eq!(
                directory.read(name, 100).unwrap().as_deref(),
                Some(text.as_bytes())
            );
        }
        assert_eq!(fs::read_dir(top.path()).unwrap().count(), 1);
        let mode = fs::metadata(top.path().join(name)).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o644);
    }

    #[test]
    fn rule_35_a_link_is_replaced_and_what_it_leads_to_stays() {
        let (top, directory) = place();
        let (target, link) = (top.path().join("passwd"), top.path().join("known_hosts"));
        fs::write(&target, "root\n").unwrap();
        symlink(&target, &link).unwrap();
        let refused = directory.read(OsStr::new("known_hosts"), 100).unwrap_err();
        assert!(refused.what.contains("symbolic link"), "{refused}");
        directory
            .replace(OsStr::new("known_hosts"), b"x\n")
            .unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"root\n");
        assert!(fs::symlink_metadata(&link).unwrap().is_file());
    }
}
