//! Paths that outlive releases: kept in `shared/`, linked into every release.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::layout::Layout;
use crate::config::settings::SharedPath;

impl Layout {
    /// Links every shared path into `release`, an absolute directory below `releases/`.
    ///
    /// What the repository itself has at such a path becomes the first content of `shared/`, and
    /// is dropped from later releases: the app's own data is never overwritten by a push.
    ///
    /// # Errors
    /// What the system says, with the path.
    pub fn link_shared(
        &self,
        release: &Path,
        paths: &[SharedPath],
    ) -> Result<(), (PathBuf, io::Error)> {
        for shared in paths {
            self.link_one(release, shared)
                .map_err(|e| (shared.path.clone(), e))?;
        }
        Ok(())
    }

    fn link_one(&self, release: &Path, shared: &SharedPath) -> io::Result<()> {
        let kept = self.shared().join(&shared.path);
        let link = release.join(&shared.path);
        for parent in [&kept, &link].iter().filter_map(|p| p.parent()) {
            fs::create_dir_all(parent)?;
        }
        let in_repository = exists(&link)?;
        match (exists(&kept)?, in_repository) {
            (false, true) => fs::rename(&link, &kept)?,
            (true, true) if link.symlink_metadata()?.is_dir() => fs::remove_dir_all(&link)?,
            (true, true) => fs::remove_file(&link)?,
            (false, false) if shared.directory => fs::create_dir_all(&kept)?,
            // A file that the app makes itself, such as a database: a link to where it will be.
            (_, false) => {}
        }
        symlink(self.relative(&shared.path), &link)
    }

    /// From a link inside a release to `shared/`: `../../shared/db.sqlite3`, so that the whole
    /// root can be moved.
    fn relative(&self, path: &Path) -> PathBuf {
        let up = path.components().count() + 1;
        let mut target: PathBuf = std::iter::repeat_n("..", up).collect();
        target.push("shared");
        target.push(path);
        target
    }
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
