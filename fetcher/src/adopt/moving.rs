//! Moves an app's data from its checkout to `shared/`, and back, without copying it: at first `shared/` has links to
//! where the data is, and while the app is stopped the data is renamed to the link's place.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use super::data::BESIDE_A_DATABASE;

/// What became of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Moved {
    /// The data is in its new place; a link leads there from the old one.
    Done,
    /// The data was in its new place already.
    Before,
    /// A process has the data open, so that it stays where it is, behind its link.
    InUse(u32),
}

/// Makes `shared/` below `root` with a link for each of `paths` to where the data is in the checkout `root`. What is
/// there already stays.
///
/// # Errors
/// A path that cannot be made, and why.
pub(crate) fn link(root: &Path, paths: &[PathBuf]) -> Result<(), (PathBuf, io::Error)> {
    for path in paths {
        let kept = root.join("shared").join(path);
        let made = kept
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| match kept.symlink_metadata() {
                Ok(_) => Ok(()),
                Err(_) => symlink(way(path, ""), &kept),
            });
        made.map_err(|error| (kept, error))?;
    }
    Ok(())
}

/// Removes the links that [`link`] has made; data is never removed.
pub(crate) fn unlink(root: &Path, paths: &[PathBuf]) {
    for path in paths {
        let kept = root.join("shared").join(path);
        if kept.is_symlink() {
            let _ = fs::remove_file(&kept);
        }
    }
}

/// Renames the data of `path` from the checkout to `shared/`, and leaves a link in its old place.
///
/// # Errors
/// The data cannot be renamed; it is then where it was.
pub(crate) fn there(root: &Path, path: &Path) -> io::Result<Moved> {
    exchange(
        &root.join(path),
        &root.join("shared").join(path),
        &way(path, "shared"),
    )
}

/// Renames the data of `path` from `shared/` to the checkout, and leaves a link in `shared/`.
///
/// # Errors
/// The data cannot be renamed; it is then where it was.
pub(crate) fn back(root: &Path, path: &Path) -> io::Result<Moved> {
    exchange(
        &root.join("shared").join(path),
        &root.join(path),
        &way(path, ""),
    )
}

/// The target of the link that stays behind: for `shared/` from the checkout and the other way round.
fn way(path: &Path, to: &str) -> PathBuf {
    let depth = path.components().count();
    // From shared/a/b the checkout is two directories up; from a/b it is one.
    let up = if to.is_empty() { depth } else { depth - 1 };
    let mut target: PathBuf = std::iter::repeat_n("..", up).collect();
    target.push(to);
    target.push(path);
    target
}

fn exchange(from: &Path, to: &Path, link: &Path) -> io::Result<Moved> {
    if from.is_symlink() {
        return Ok(Moved::Before);
    }
    if let Some(pid) = used_by(from) {
        return Ok(Moved::InUse(pid));
    }
    // First: a database without its journal would be taken for a complete one.
    for ending in BESIDE_A_DATABASE {
        let (old, new) = (with(from, ending), with(to, ending));
        match fs::rename(old, new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let aside = fs::read_link(to).ok();
    if aside.is_some() {
        fs::remove_file(to)?;
    } else if to.symlink_metadata().is_ok() {
        // Data is never replaced by data.
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    if let Err(error) = fs::rename(from, to) {
        if let Some(target) = aside {
            let _ = symlink(target, to);
        }
        for ending in BESIDE_A_DATABASE {
            let _ = fs::rename(with(to, ending), with(from, ending));
        }
        return Err(error);
    }
    symlink(link, from)?;
    Ok(Moved::Done)
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Gives a process that has the file `path` open, as far as this user sees. A directory is in use if a file below it is.
fn used_by(path: &Path) -> Option<u32> {
    let wanted = fs::metadata(path).ok()?;
    let real = fs::canonicalize(path).ok()?;
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|pid| *pid != std::process::id()).find(|pid| {
        let open = fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten();
        open.flatten().any(|fd| {
            let same =
                |found: fs::Metadata| (found.dev(), found.ino()) == (wanted.dev(), wanted.ino());
            match wanted.is_dir() {
                true => fs::read_link(fd.path()).is_ok_and(|file| file.starts_with(&real)),
                false => fs::metadata(fd.path()).is_ok_and(same),
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkout() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("var/media")).unwrap();
        fs::write(root.path().join("db.sqlite3"), "rows").unwrap();
        fs::write(root.path().join("db.sqlite3-wal"), "more rows").unwrap();
        fs::write(root.path().join("var/media/a"), "picture").unwrap();
        root
    }

    fn read(root: &Path, path: &str) -> String {
        fs::read_to_string(root.join(path)).unwrap()
    }

    #[test]
    fn data_is_reached_by_both_ways_before_and_after_and_when_it_is_back() {
        let checkout = checkout();
        let root = checkout.path();
        let paths = [PathBuf::from("db.sqlite3"), PathBuf::from("var/media")];
        let both = |told: &str| {
            for place in ["", "shared/"] {
                assert_eq!(read(root, &format!("{place}db.sqlite3")), "rows", "{told}");
                assert_eq!(
                    read(root, &format!("{place}var/media/a")),
                    "picture",
                    "{told}"
                );
            }
        };
        link(root, &paths).unwrap();
        both("linked");
        for path in &paths {
            assert_eq!(there(root, path).unwrap(), Moved::Done);
        }
        both("moved");
        assert!(root.join("db.sqlite3").is_symlink());
        assert_eq!(read(root, "shared/db.sqlite3-wal"), "more rows");
        assert!(!root.join("db.sqlite3-wal").exists());
        assert_eq!(there(root, &paths[0]).unwrap(), Moved::Before);
        for path in &paths {
            assert_eq!(back(root, path).unwrap(), Moved::Done);
        }
        both("back");
        assert!(!root.join("db.sqlite3").is_symlink());
        assert_eq!(read(root, "db.sqlite3-wal"), "more rows");
        unlink(root, &paths);
        assert!(!root.join("shared/db.sqlite3").is_symlink());
        assert_eq!(read(root, "db.sqlite3"), "rows");
    }

    #[test]
    fn data_that_a_process_has_open_stays_where_it_is() {
        let checkout = checkout();
        let root = checkout.path();
        let paths = [PathBuf::from("db.sqlite3")];
        link(root, &paths).unwrap();
        let mut reader = std::process::Command::new("sleep")
            .arg("60")
            .stdin(fs::File::open(root.join("db.sqlite3")).unwrap())
            .spawn()
            .unwrap();
        let moved = there(root, &paths[0]);
        reader.kill().unwrap();
        reader.wait().unwrap();
        assert_eq!(moved.unwrap(), Moved::InUse(reader.id()));
        assert_eq!(read(root, "shared/db.sqlite3"), "rows");
        assert!(!root.join("db.sqlite3").is_symlink());
    }
}
