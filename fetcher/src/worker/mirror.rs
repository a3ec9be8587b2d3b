//! The directory of a mirror: an empty mirror is made of plain files and directories, a damaged mirror is set
//! aside. The content of a mirror is not read here, so libgit2 is not needed.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::error::WorkerError;

/// The mirror's `config`, as git's `init --bare --shared` writes it. libgit2 syncs refs, the worker syncs packs.
const CONFIG: &str = "[core]\n\
    \trepositoryformatversion = 0\n\
    \tfilemode = true\n\
    \tbare = true\n\
    \tsharedrepository = 1\n\
    \tfsyncObjectFiles = true\n";

const DIRECTORIES: [&str; 7] = [
    "objects",
    "objects/info",
    "objects/pack",
    "refs",
    "refs/heads",
    "refs/tags",
    "info",
];

/// Makes an empty mirror at `path`, if there is nothing at `path` yet.
///
/// # Errors
/// [`WorkerError::Directory`].
pub(crate) fn provide(path: &Path) -> Result<(), WorkerError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
        Err(error) => Err(at("look at", path)(error)),
    }
}

/// Moves a damaged mirror aside, in place of a mirror set aside before, and returns its new path.
///
/// # Errors
/// [`WorkerError::Directory`].
pub(crate) fn set_aside(path: &Path) -> Result<PathBuf, WorkerError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!("{name}.broken-");
    let parent = path.parent().unwrap_or(Path::new("."));
    // One mirror set aside is enough to look into; more would fill the disk.
    for old in fs::read_dir(parent).map_err(at("read", parent))?.flatten() {
        if old.file_name().to_string_lossy().starts_with(&prefix) {
            fs::remove_dir_all(old.path()).map_err(at("remove", &old.path()))?;
        }
    }
    let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let aside = parent.join(prefix + &time);
    fs::rename(path, &aside).map_err(at("rename", path))?;
    sync_dir(parent)?;
    Ok(aside)
}

fn sync_dir(path: &Path) -> Result<(), WorkerError> {
    let directory = File::open(path).map_err(at("open", path))?;
    directory.sync_all().map_err(at("sync", path))
}

fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WorkerError {
    let path = path.to_owned();
    move |source| WorkerError::Directory { what, path, source }
}

/// Makes an empty mirror under a temporary name and renames it when it is complete.
fn create(path: &Path) -> Result<(), WorkerError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let new = tempfile::Builder::new()
        .prefix(".mirror-new-")
        .tempdir_in(parent)
        .map_err(at("create a directory in", parent))?;
    let bare = new.path().join("bare");
    directory(&bare)?;
    for name in DIRECTORIES {
        directory(&bare.join(name))?;
    }
    file(&bare.join("config"), CONFIG)?;
    file(&bare.join("HEAD"), "ref: refs/heads/master\n")?;
    sync_dir(&bare)?;
    fs::rename(&bare, path).map_err(at("rename", path))?;
    sync_dir(parent)
}

/// Makes a directory that the group may read and not write, whatever the umask, like all directories of the state.
fn directory(path: &Path) -> Result<(), WorkerError> {
    fs::create_dir(path).map_err(at("create", path))?;
    fs::set_permissions(path, Permissions::from_mode(0o2750)).map_err(at("set the mode of", path))
}

fn file(path: &Path, text: &str) -> Result<(), WorkerError> {
    let mut file = File::create_new(path).map_err(at("create", path))?;
    file.write_all(text.as_bytes()).map_err(at("write", path))?;
    file.set_permissions(Permissions::from_mode(0o640))
        .map_err(at("set the mode of", path))?;
    file.sync_all().map_err(at("sync", path))
}
