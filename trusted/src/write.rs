//! Changing a directory through its open descriptor. A file is replaced whole: the new content is written to a second
//! file in the same directory, synced to disk, and renamed over the old file.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat, renameat};
use nix::sys::stat::{Mode, fchmod, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fsync, symlinkat, unlinkat};

use super::{Directory, Refused};

impl Directory {
    /// Makes `bytes` the content of the file `name`, readable by everybody and writable by its owner. A link
    /// or FIFO of that name is replaced, never followed or opened.
    ///
    /// # Errors
    /// [`Refused`]: the disk is full or read-only. The old file is then unchanged.
    pub fn replace(&self, name: &OsStr, bytes: &[u8]) -> Result<(), Refused> {
        self.replace_with_mode(name, bytes, 0o644)
    }

    /// Makes `bytes` the content of the file `name`, which gets the mode `mode`, such as 0755 for a script.
    ///
    /// # Errors
    /// As those of [`Directory::replace`].
    pub fn replace_with_mode(&self, name: &OsStr, bytes: &[u8], mode: u32) -> Result<(), Refused> {
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
        let written = self.write_beside(&next, bytes, mode).map_err(&failed);
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

    /// Removes the file or link `name`. Gives whether there was one.
    ///
    /// # Errors
    /// [`Refused`]: it is a directory, or the disk is read-only.
    pub fn remove(&self, name: &OsStr) -> Result<bool, Refused> {
        match unlinkat(self, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) => fsync(self)
                .map(|()| true)
                .map_err(|error| self.refused(name, "cannot be removed", error)),
            Err(Errno::ENOENT) => Ok(false),
            Err(error) => Err(self.refused(name, "cannot be removed", error)),
        }
    }

    /// Removes the directory `name` if there is nothing in it. Gives whether it was removed.
    pub fn remove_empty(&self, name: &OsStr) -> bool {
        unlinkat(self, name, UnlinkatFlags::RemoveDir).is_ok()
    }

    /// Makes the symbolic link `name`, which leads to `target`. Gives whether the link is new: one that leads there
    /// already stays.
    ///
    /// # Errors
    /// [`Refused`]: something else has that name, or the disk is full or read-only.
    pub fn link(&self, name: &OsStr, target: &Path) -> Result<bool, Refused> {
        match symlinkat(target, self, name) {
            Ok(()) => Ok(true),
            Err(Errno::EEXIST) => match readlinkat(self, name) {
                Ok(found) if found == target.as_os_str() => Ok(false),
                _ => Err(Refused::new(
                    &self.path.join(name),
                    format!("is there and is no link to {}", target.display()),
                    "move it away",
                )),
            },
            Err(error) => Err(self.refused(name, "cannot be made", error)),
        }
    }

    /// Makes the directory `name` for the user `owner` and the group `group`, with this mode. Gives whether it is new:
    /// a directory that is there stays as it is.
    ///
    /// # Errors
    /// [`Refused`]: something else has that name, or the disk is full or read-only.
    pub fn make_directory(
        &self,
        name: &OsStr,
        owner: Uid,
        group: Gid,
        mode: u32,
    ) -> Result<bool, Refused> {
        let failed = |error| self.refused(name, "cannot be made", error);
        match mkdirat(self, name, Mode::S_IRWXU) {
            Ok(()) => {}
            Err(Errno::EEXIST) => return Ok(false),
            Err(error) => return Err(failed(error)),
        }
        // Nobody but the owner of this directory could have put something else in its place.
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let made = openat(self, name, flags, Mode::empty()).map_err(failed)?;
        // The mode comes last: a change of owner takes setgid away.
        fchown(&made, Some(owner), Some(group)).map_err(failed)?;
        fchmod(&made, Mode::from_bits_truncate(mode)).map_err(failed)?;
        fsync(self).map_err(failed)?;
        Ok(true)
    }

    fn refused(&self, name: &OsStr, what: &str, error: Errno) -> Refused {
        let what = format!("{what} ({error})");
        Refused::new(
            &self.path.join(name),
            what,
            "is there room on the disk, and is it writable for root?",
        )
    }

    fn write_beside(&self, name: &OsStr, bytes: &[u8], mode: u32) -> Result<(), String> {
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        // Readable for nobody else before it is whole and has its own mode.
        let first = Mode::from_bits_truncate(0o600);
        let fd = match openat(self, name, flags, first) {
            // A process with the same process id was killed before it could rename this file. Only the
            // directory's owner can have created it, so it is safe to remove.
            Err(Errno::EEXIST) => unlinkat(self, name, UnlinkatFlags::NoRemoveDir)
                .and_then(|()| openat(self, name, flags, first)),
            opened => opened,
        }
        .map_err(|error| error.to_string())?;
        let mut file = File::from(fd);
        // The mode given to openat(2) is reduced by the umask of this process; this sets it in full.
        let readable = std::os::unix::fs::PermissionsExt::from_mode(mode);
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

    #[test]
    fn a_link_is_made_once_and_never_over_something_else() {
        let (top, directory) = place();
        let name = OsStr::new("site");
        assert!(directory.link(name, Path::new("../a")).unwrap());
        assert!(!directory.link(name, Path::new("../a")).unwrap());
        let refused = directory.link(name, Path::new("../b")).unwrap_err();
        assert!(refused.what.contains("is no link to ../b"), "{refused}");
        fs::write(top.path().join("file"), "x").unwrap();
        directory
            .link(OsStr::new("file"), Path::new("../a"))
            .unwrap_err();
        assert!(directory.remove(name).unwrap());
        assert!(!directory.remove(name).unwrap());
        assert_eq!(fs::read_to_string(top.path().join("file")).unwrap(), "x");
    }

    #[test]
    fn a_directory_gets_its_mode_whatever_the_umask_and_one_that_is_there_keeps_its_own() {
        let (top, directory) = place();
        let seen = |name: &str| fs::metadata(top.path().join(name)).unwrap().mode() & 0o7777;
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        let make = |name: &str| directory.make_directory(OsStr::new(name), uid, gid, 0o2775);
        assert!(make("new").unwrap());
        assert_eq!(seen("new"), 0o2775);
        fs::create_dir(top.path().join("old")).unwrap();
        fs::set_permissions(top.path().join("old"), PermissionsExt::from_mode(0o700)).unwrap();
        assert!(!make("old").unwrap());
        assert_eq!(seen("old"), 0o700);
        fs::write(top.path().join("old/file"), "x").unwrap();
        assert!(directory.remove_empty(OsStr::new("new")));
        assert!(!directory.remove_empty(OsStr::new("old")));
    }
}
