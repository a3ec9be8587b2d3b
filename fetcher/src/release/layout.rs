//! Names and paths below an app's root directory.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::revision::Revision;

/// The link to the live release, and the directories beside it.
const CURRENT: &str = "current";
const RELEASES: &str = "releases";
const SHARED: &str = "shared";

/// Everything that pp-fetcher makes in an app's root and that stays there.
pub(crate) const MADE_IN_ROOT: [&str; 3] = [RELEASES, SHARED, CURRENT];

/// Prefix of a release that is still being written.
pub(super) const UNFINISHED: &str = ".new-";

/// Prefix of a link that is about to become `current`.
pub(super) const NEXT_LINK: &str = ".current-";

/// A second name of the link that `current` was before the last switch. [`Layout::sweep`] leaves it in place:
/// an attempt that was cut short may need it to go back.
const BACK_LINK: &str = ".current-back";

/// The file in a release that holds the revision that the release was made of.
const REVISION_FILE: &str = "REVISION";

/// The root directory of an app, with the paths below it.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Names the layout below `root`. Opens nothing.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Makes the root, `releases/` and `shared/`, as far as they do not exist, with the setgid bit: files
    /// that any user makes in them belong to the directory's group.
    ///
    /// # Errors
    /// The error of the operating system, with the directory that it is about.
    pub fn create(&self) -> Result<(), (PathBuf, io::Error)> {
        for directory in [self.root.clone(), self.releases(), self.shared()] {
            if directory.symlink_metadata().is_ok() {
                continue;
            }
            fs::create_dir_all(&directory).map_err(|e| (directory.clone(), e))?;
            // Fails if this process is not in the directory's group; the directory can be used all the same.
            let _ = fs::set_permissions(&directory, fs::Permissions::from_mode(0o2775));
        }
        Ok(())
    }

    /// Gives the root directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Gives the path of the link `current`, which the units' `WorkingDirectory` leads through.
    #[must_use]
    pub fn current_link(&self) -> PathBuf {
        self.root.join(CURRENT)
    }

    /// Gives the path of the link that `current` was before the last switch. It exists until the new release
    /// has been found good.
    #[must_use]
    pub fn back_link(&self) -> PathBuf {
        self.root.join(BACK_LINK)
    }

    /// Gives the directory of the releases.
    #[must_use]
    pub fn releases(&self) -> PathBuf {
        self.root.join(RELEASES)
    }

    /// Gives the directory of the paths that outlive releases.
    #[must_use]
    pub fn shared(&self) -> PathBuf {
        self.root.join(SHARED)
    }

    /// Gives the directory of the release `name`.
    #[must_use]
    pub fn release(&self, name: &str) -> PathBuf {
        self.releases().join(name)
    }

    /// Gives the directory in which a release is written before it gets its final name.
    #[must_use]
    pub fn unfinished(&self, name: &str) -> PathBuf {
        self.releases().join(format!("{UNFINISHED}{name}"))
    }

    /// Gives a name that no release has: UTC time and short revision, so that names sort by age.
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

    /// Gives the name of the release that `current` points at; `None` if there is no such link.
    ///
    /// # Errors
    /// `current` cannot be read, or is not a link into `releases/`: pp-fetcher did not make it then, and must
    /// not replace it.
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
            .strip_prefix(RELEASES)
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

    /// Writes the revision of a release into its file [`REVISION_FILE`], durably, unless the repository has
    /// an entry of that name, of any kind. Gives whether the file was written.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn write_revision(release: &Path, revision: &Revision) -> io::Result<bool> {
        let mut file = match File::create_new(release.join(REVISION_FILE)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            made => made?,
        };
        file.write_all(format!("{revision}\n").as_bytes())?;
        file.sync_all()?;
        Ok(true)
    }

    /// Reads the revision that a release was made of from its file [`REVISION_FILE`]. A file of that name may
    /// belong to the repository instead, so the revision only counts if the release's name contains it.
    #[must_use]
    pub fn revision_of(&self, name: &str) -> Option<Revision> {
        let path = self.release(name).join(REVISION_FILE);
        let found = path.symlink_metadata().ok()?;
        // A revision's digits and a newline are shorter than that.
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
