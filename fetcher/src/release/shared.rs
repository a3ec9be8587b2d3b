//! Paths that outlive releases: stored in `shared/`, and linked into every release.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::layout::Layout;
use crate::config::settings::SharedPath;

/// Why a shared path cannot be linked into a release.
#[derive(Debug, Error)]
pub enum SharedError {
    /// The repository has a symbolic link at the shared path, or at a directory above it.
    #[error(
        "{0} is a symbolic link in the repository: what is kept outside of releases must not depend on where \
         that leads\n  take the link out of the repository, or the path out of `shared`"
    )]
    Link(String),
    /// The error of the operating system.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What the next deploy does with a shared path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedPathPlan {
    /// The path as it is written in the configuration.
    pub path: PathBuf,
    /// Whether the path is a directory; otherwise it is a file.
    pub directory: bool,
    /// Whether `shared/` already has an entry at this path.
    pub kept: bool,
}

impl Layout {
    /// Links every shared path into `release`, an absolute directory below `releases/`. Gives the paths in
    /// `shared/` of the files that do not exist yet.
    ///
    /// A file or directory that the repository has at a shared path is moved to `shared/` once, as its first
    /// content, and is dropped from later releases: the app's own data is never overwritten by a push.
    ///
    /// # Errors
    /// The error of the operating system, or the repository has a symbolic link there; with the shared path.
    pub fn link_shared(
        &self,
        release: &Path,
        paths: &[SharedPath],
    ) -> Result<Vec<PathBuf>, (PathBuf, SharedError)> {
        let mut missing = Vec::new();
        for shared in paths {
            let linked = self.link_one(release, shared);
            if !linked.map_err(|e| (shared.path.clone(), e))? {
                missing.push(self.shared().join(&shared.path));
            }
        }
        Ok(missing)
    }

    /// Foresees what the next deploy does with each shared path, as far as `shared/` shows it.
    #[must_use]
    pub fn will_share(&self, paths: &[SharedPath]) -> Vec<SharedPathPlan> {
        let will = |shared: &SharedPath| {
            let kept = fs::metadata(self.shared().join(&shared.path)).ok();
            SharedPathPlan {
                path: shared.path.clone(),
                directory: kept.as_ref().map_or(shared.directory, fs::Metadata::is_dir),
                kept: kept.is_some(),
            }
        };
        paths.iter().map(will).collect()
    }

    /// Links one shared path into `release`. Gives whether the link leads to an existing entry.
    fn link_one(&self, release: &Path, shared: &SharedPath) -> Result<bool, SharedError> {
        let kept = self.shared().join(&shared.path);
        let link = release.join(&shared.path);
        no_link_on_the_way(release, &shared.path)?;
        for parent in [&kept, &link].iter().filter_map(|p| p.parent()) {
            fs::create_dir_all(parent)?;
        }
        let in_repository = exists(&link)?;
        match (exists(&kept)?, in_repository) {
            (false, true) if link.symlink_metadata()?.is_symlink() => {
                return Err(SharedError::Link(shared.path.display().to_string()));
            }
            (false, true) => fs::rename(&link, &kept)?,
            (true, true) if link.symlink_metadata()?.is_dir() => fs::remove_dir_all(&link)?,
            (true, true) => fs::remove_file(&link)?,
            (false, false) if shared.directory => fs::create_dir_all(&kept)?,
            // A file that the app makes itself, such as a database: the link leads to where the file will be.
            (_, false) => {}
        }
        symlink(self.relative(&shared.path), &link)?;
        Ok(fs::metadata(&kept).is_ok())
    }

    /// Gives the target of a link from inside a release to `shared/`. It is relative, such as
    /// `../../shared/db.sqlite3`, so that the whole root can be moved.
    fn relative(&self, path: &Path) -> PathBuf {
        let up = path.components().count() + 1;
        let mut target: PathBuf = std::iter::repeat_n("..", up).collect();
        target.push("shared");
        target.push(path);
        target
    }
}

/// Checks that no directory above a shared path is a symbolic link of the repository: entries made there
/// would lie outside of the release.
fn no_link_on_the_way(release: &Path, path: &Path) -> Result<(), SharedError> {
    let mut at = release.to_owned();
    for part in path.parent().into_iter().flat_map(Path::components) {
        at.push(part);
        if at.is_symlink() {
            let below = at.strip_prefix(release).unwrap_or(&at);
            return Err(SharedError::Link(below.display().to_string()));
        }
    }
    Ok(())
}

fn exists(path: &Path) -> io::Result<bool> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str, directory: bool) -> SharedPath {
        SharedPath {
            path: path.into(),
            directory,
        }
    }

    #[test]
    fn shared_data_survives_and_the_repository_only_seeds_it() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        layout.create().unwrap();
        let shared = [
            path("db.sqlite3", false),
            path("media", true),
            path("var/cache/x", true),
        ];
        for (name, content) in [("one", "seed"), ("two", "from a later push")] {
            let release = layout.release(name);
            fs::create_dir(&release).unwrap();
            fs::write(release.join("db.sqlite3"), content).unwrap();
            layout.link_shared(&release, &shared).unwrap();
            assert_eq!(
                fs::read_to_string(release.join("db.sqlite3")).unwrap(),
                "seed"
            );
            fs::write(release.join("media/from"), name).unwrap();
            fs::write(release.join("var/cache/x/y"), name).unwrap();
        }
        assert_eq!(
            fs::read_to_string(layout.release("one").join("media/from")).unwrap(),
            "two"
        );
        let target = fs::read_link(layout.release("one").join("var/cache/x")).unwrap();
        assert_eq!(target, Path::new("../../../../shared/var/cache/x"));
    }

    #[test]
    fn a_file_that_is_nowhere_yet_can_be_made_through_its_link() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        layout.create().unwrap();
        fs::create_dir(layout.release("one")).unwrap();
        layout
            .link_shared(&layout.release("one"), &[path("db.sqlite3", false)])
            .unwrap();
        fs::write(layout.release("one").join("db.sqlite3"), "new").unwrap();
        assert_eq!(
            fs::read_to_string(layout.shared().join("db.sqlite3")).unwrap(),
            "new"
        );
    }
}
