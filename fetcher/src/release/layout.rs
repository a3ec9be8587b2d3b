//! Names and places below an app's root.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::revision::Revision;

/// Prefix of a release that is still being written.
pub(super) const UNFINISHED: &str = ".new-";

/// Prefix of a link that is about to become `current`.
pub(super) const NEXT_LINK: &str = ".current-";

/// The old link's other name. The sweep leaves it: an attempt that was cut short may need it.
const BACK_LINK: &str = ".current-back";

/// The file in a release that says what it was made of.
const REVISION_FILE: &str = "REVISION";

/// An app's root.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout below `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Makes the root, `releases/` and `shared/`, as far as they are not there, with the setgid bit: what
    /// anybody makes in them belongs to their group.
    ///
    /// # Errors
    /// What the system says, with the directory.
    pub fn create(&self) -> Result<(), (PathBuf, io::Error)> {
        for directory in [self.root.clone(), self.releases(), self.shared()] {
            if directory.symlink_metadata().is_ok() {
                continue;
            }
            fs::create_dir_all(&directory).map_err(|e| (directory.clone(), e))?;
            // Not ours to set where the group is not ours.
            let _ = fs::set_permissions(&directory, fs::Permissions::from_mode(0o2775));
        }
        Ok(())
    }

    /// The root itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The link that the units' `WorkingDirectory` goes through.
    #[must_use]
    pub fn current_link(&self) -> PathBuf {
        self.root.join("current")
    }

    /// What `current` was before the last switch, until that has proved good.
    #[must_use]
    pub fn back_link(&self) -> PathBuf {
        self.root.join(BACK_LINK)
    }

    /// Where releases are.
    #[must_use]
    pub fn releases(&self) -> PathBuf {
        self.root.join("releases")
    }

    /// What outlives releases.
    #[must_use]
    pub fn shared(&self) -> PathBuf {
        self.root.join("shared")
    }

    /// A release's directory.
    #[must_use]
    pub fn release(&self, name: &str) -> PathBuf {
        self.releases().join(name)
    }

    /// Where a release is written before it gets its name.
    #[must_use]
    pub fn unfinished(&self, name: &str) -> PathBuf {
        self.releases().join(format!("{UNFINISHED}{name}"))
    }

    /// A name that no release has: UTC time and short revision, so that names sort by age.
    #[must_use]
    pub fn new_name(&self, now: Timestamp, revision: &Revision) -> String {
        let base = format!("{}-{}", now.strftime("%Y%m%dT%H%M%SZ"), revision.short());
        let taken = |name: &String| self.release(name).symlink_metadata().is_ok();
        let numbered = (2..u32::MAX).map(|n| format!("{base}.{n}"));
        std::iter::once(base.clone())
            .chain(numbered)
            .find(|name| !taken(name))
            .unwrap_or(base)
    }

    /// The name of the release `current` points at; `None` if there is no such link.
    ///
    /// # Errors
    /// `current` cannot be read, or is not a link into `releases/`: what it is then is not ours
    /// to replace.
    pub fn current(&self) -> io::Result<Option<String>> {
        let link = self.current_link();
        let target = match fs::read_link(&link) {
            Ok(target) => target,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => {
                return Err(io::Error::other(format!(
                    "{} is not a symbolic link: move it away, pp-fetcher makes the link itself",
                    link.display()
                )));
            }
            Err(e) => {
                let what = format!("{} cannot be read: {e}", link.display());
                return Err(io::Error::new(e.kind(), what));
            }
        };
        let name = target
            .strip_prefix("releases")
            .or_else(|_| target.strip_prefix(self.releases()))
            .ok()
            .and_then(Path::to_str)
            .filter(|name| !name.is_empty() && !name.contains('/'));
        name.map(|name| Some(name.to_owned())).ok_or_else(|| {
            io::Error::other(format!(
                "{} points at {}, not at a release: remove the link if it may be replaced",
                link.display(),
                target.display()
            ))
        })
    }

    /// Writes down what a release is made of, durably; not where the repository has something of that
    /// name, of whatever kind. Whether it was written.
    ///
    /// # Errors
    /// What the system says.
    pub fn write_revision(release: &Path, revision: &Revision) -> io::Result<bool> {
        let mut file = match File::create_new(release.join(REVISION_FILE)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            made => made?,
        };
        file.write_all(format!("{revision}\n").as_bytes())?;
        file.sync_all()?;
        Ok(true)
    }

    /// What a release was made of, as far as it says: a file of the repository's own that has that name
    /// is told by the release's name.
    #[must_use]
    pub fn revision_of(&self, name: &str) -> Option<Revision> {
        let path = self.release(name).join(REVISION_FILE);
        let found = path.symlink_metadata().ok()?;
        // All digits and a newline.
        let text =
            (found.is_file() && found.len() < 64).then(|| fs::read_to_string(&path).ok())??;
        let revision = Revision::parse(text.trim()).ok()?;
        name.contains(&revision.short()).then_some(revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> (tempfile::TempDir, Layout) {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        layout.create().unwrap();
        (root, layout)
    }

    #[test]
    fn a_release_is_named_by_time_and_revision_and_never_twice() {
        let (_root, layout) = layout();
        let revision = Revision::parse(&"ab".repeat(20)).unwrap();
        let name = layout.new_name(Timestamp::UNIX_EPOCH, &revision);
        assert_eq!(name, "19700101T000000Z-abababababab");
        fs::create_dir(layout.release(&name)).unwrap();
        assert_eq!(
            layout.new_name(Timestamp::UNIX_EPOCH, &revision),
            format!("{name}.2")
        );
    }

    #[test]
    fn current_is_read_and_what_is_not_ours_is_not_touched() {
        use std::os::unix::fs::symlink;
        let (root, layout) = layout();
        assert_eq!(layout.current().unwrap(), None);
        symlink("releases/one", layout.current_link()).unwrap();
        assert_eq!(layout.current().unwrap().as_deref(), Some("one"));
        for elsewhere in ["/srv/app", "releases", "../x/releases/one", "releases/a/b"] {
            fs::remove_file(layout.current_link()).unwrap();
            symlink(elsewhere, layout.current_link()).unwrap();
            assert!(layout.current().is_err(), "{elsewhere}");
        }
        fs::remove_file(layout.current_link()).unwrap();
        fs::create_dir(root.path().join("current")).unwrap();
        assert!(
            layout
                .current()
                .unwrap_err()
                .to_string()
                .contains("not a symbolic link")
        );
    }

    #[test]
    fn rule_29_leftovers_are_swept_and_releases_are_not() {
        let (root, layout) = layout();
        fs::create_dir_all(layout.unfinished("x").join("deep")).unwrap();
        fs::create_dir(layout.release("x")).unwrap();
        std::os::unix::fs::symlink("releases/x", root.path().join(".current-1-2")).unwrap();
        layout.sweep();
        assert!(!layout.unfinished("x").exists() && layout.release("x").exists());
        assert!(root.path().join(".current-1-2").symlink_metadata().is_err());
    }
}
