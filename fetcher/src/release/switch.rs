//! The one step that changes which release is served: the link `current` is replaced by rename(2).

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use nix::unistd::syncfs;

use super::layout::{Layout, NEXT_LINK};
use crate::crash;

impl Layout {
    /// Makes a new release durable, with the files that its build script has written and the links to
    /// `shared/`: after a power cut `current` must not lead to empty files. It is one `syncfs`, because it is
    /// not known which files a build script has written.
    ///
    /// # Errors
    /// The error of the operating system: not everything was written to the disk.
    pub fn sync(&self, release: &str) -> io::Result<()> {
        let release = File::open(self.release(release))?;
        let shared = File::open(self.shared())?;
        syncfs(&release)?;
        if shared.metadata()?.dev() != release.metadata()?.dev() {
            syncfs(&shared)?;
        }
        Ok(())
    }

    /// Points `current` at `release`, durably, and reads the link back.
    ///
    /// A process that opens `current` meanwhile finds the old release or the new one, never neither.
    ///
    /// # Errors
    /// The error of the operating system, or the link does not point at `release` afterwards.
    pub fn switch(&self, release: &str) -> io::Result<()> {
        if !self.release(release).is_dir() {
            return Err(io::Error::other(format!("the release {release} is gone")));
        }
        let next = match self.next_link(release) {
            Ok(next) => {
                // A second name of the old link: switching back then needs no room on the disk.
                let _ = fs::remove_file(self.back_link());
                let _ = fs::hard_link(self.current_link(), self.back_link());
                next
            }
            Err(_) if self.leads_back_to(release) => self.back_link(),
            Err(error) => return Err(error),
        };
        crash::point("before", "rename");
        fs::rename(&next, self.current_link()).inspect_err(|_| {
            let _ = fs::remove_file(&next);
        })?;
        crash::point("after", "rename");
        File::open(self.root())?.sync_all()?;
        match self.current()? {
            Some(now) if now == release => Ok(()),
            other => Err(io::Error::other(format!(
                "`current` should point at {release} and points at {other:?}"
            ))),
        }
    }

    /// Removes the link that leads back to the previous release: the attempt that might have needed it has
    /// ended.
    pub fn remove_back_link(&self) {
        let _ = fs::remove_file(self.back_link());
    }

    fn leads_back_to(&self, release: &str) -> bool {
        let target = fs::read_link(self.back_link());
        target.is_ok_and(|target| target == Path::new("releases").join(release))
    }

    /// Makes a link to `release` under a new name for each switch, so that a link left by a crash is never
    /// renamed to `current` by mistake.
    fn next_link(&self, release: &str) -> io::Result<std::path::PathBuf> {
        let target = format!("releases/{release}");
        let made = tempfile::Builder::new()
            .prefix(NEXT_LINK)
            .make_in(self.root(), |path| symlink(&target, path))?;
        let path = made.into_temp_path();
        path.keep().map_err(|e| e.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn current_moves_from_release_to_release_and_leaves_nothing_behind() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        layout.create().unwrap();
        for name in ["one", "two"] {
            fs::create_dir(layout.release(name)).unwrap();
            layout.sync(name).unwrap();
            layout.switch(name).unwrap();
            assert_eq!(layout.current().unwrap().as_deref(), Some(name));
        }
        assert!(layout.sync("three").is_err());
        assert!(
            layout
                .switch("three")
                .unwrap_err()
                .to_string()
                .contains("gone")
        );
        assert_eq!(layout.current().unwrap().as_deref(), Some("two"));
        layout.remove_back_link();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 3);
    }
}
