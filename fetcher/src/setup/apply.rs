//! Writes the files of a plan, as root: each whole, through directories that nobody else can change, and never over a
//! file that a person has made.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid};
use pp_trusted::{Directory, Trust};

use super::PlannedFile;
use super::mark::{Author, author};
use crate::config::LARGEST_FILE;

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is new, or has a new text.
    New,
    /// It had this very text.
    Unchanged,
}

/// What stands where a planned file is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing.
    Nothing,
    /// The same text.
    Same,
    /// A text that setup has written, for the same app.
    Older,
    /// A text that setup has written, for the same app, and that somebody has changed since.
    Changed,
    /// A text of somebody else.
    Foreign,
}

/// Looks at what stands where `file` of `app` is to be.
///
/// # Errors
/// The directory is not root's alone, or the file cannot be read.
pub(crate) fn look(file: &PlannedFile, app: &str) -> Result<Found, String> {
    Ok(match read(&file.path)? {
        None => Found::Nothing,
        Some(text) if text == file.text => Found::Same,
        Some(text) => match author(&text, app) {
            Author::Setup => Found::Older,
            Author::SetupAndAnother => Found::Changed,
            Author::Another => Found::Foreign,
        },
    })
}

/// Writes `file`, in a directory that is made for it if there is none.
///
/// # Errors
/// The directory is not root's alone, or the disk is full or read-only.
pub(crate) fn write(file: &PlannedFile) -> Result<Written, String> {
    let (parent, name) = split(&file.path)?;
    let directory = make(parent)?;
    let now = directory
        .read(name, LARGEST_FILE)
        .map_err(|why| why.to_string())?;
    if now.as_deref() == Some(file.text.as_bytes()) {
        return Ok(Written::Unchanged);
    }
    directory
        .replace(name, file.text.as_bytes())
        .map_err(|why| why.to_string())?;
    Ok(Written::New)
}

/// Gives a file that is there another text; its mode stays.
///
/// # Errors
/// The directory or the file is not root's alone, or the disk is full or read-only.
pub(crate) fn rewrite(path: &Path, text: &str) -> Result<(), String> {
    let (parent, name) = split(path)?;
    let found = path
        .symlink_metadata()
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let directory = make(parent)?;
    // Refused if others can write it, whatever its mode is then.
    directory
        .read(name, LARGEST_FILE)
        .map_err(|why| why.to_string())?;
    directory
        .replace_with_mode(name, text.as_bytes(), found.mode() & 0o777)
        .map_err(|why| why.to_string())
}

/// Gives the file `path` the text `before` that it had; `None` if there was no file.
///
/// # Errors
/// The directory is not root's alone, or the disk is full or read-only.
pub(crate) fn put_back(path: &Path, before: Option<&str>) -> Result<(), String> {
    match before {
        Some(text) => rewrite(path, text),
        None => remove(path).map(drop),
    }
}

/// Removes the drop-in `path`, and its directory if nothing else is in there. Gives whether there was such a file.
///
/// # Errors
/// The directory is not root's alone, or the disk is read-only.
pub(crate) fn remove_drop_in(path: &Path) -> Result<bool, String> {
    let removed = remove(path)?;
    if let Some(directory) = path.parent() {
        remove_empty(directory);
    }
    Ok(removed)
}

/// Writes a program of root's, which everybody may run.
///
/// # Errors
/// The directory is not root's alone, or the disk is full or read-only.
pub(crate) fn write_program(path: &Path, text: &str) -> Result<(), String> {
    let (parent, name) = split(path)?;
    make(parent)?
        .replace_with_mode(name, text.as_bytes(), 0o755)
        .map_err(|why| why.to_string())
}

/// Removes the file or link `path`. Gives whether there was one.
///
/// # Errors
/// The directory is not root's alone, or the disk is read-only.
pub(crate) fn remove(path: &Path) -> Result<bool, String> {
    let (parent, name) = split(path)?;
    match open(parent)? {
        None => Ok(false),
        Some(directory) => directory.remove(name).map_err(|why| why.to_string()),
    }
}

/// Removes the directory `path` if there is nothing in it. Gives whether it was removed.
pub(crate) fn remove_empty(path: &Path) -> bool {
    let Ok((parent, name)) = split(path) else {
        return false;
    };
    let directory = open(parent).ok().flatten();
    directory.is_some_and(|directory| directory.remove_empty(name))
}

/// Makes the symbolic link `path` to `target`. Gives whether it is new.
///
/// # Errors
/// Something else has that name, or the directory is not root's alone.
pub(crate) fn link(path: &Path, target: &Path) -> Result<bool, String> {
    let (parent, name) = split(path)?;
    make(parent)?
        .link(name, target)
        .map_err(|why| why.to_string())
}

/// Reads the file `path`, if there is one.
///
/// # Errors
/// Others than root can write it.
pub(crate) fn read(path: &Path) -> Result<Option<String>, String> {
    let (parent, name) = split(path)?;
    let Some(directory) = open(parent)? else {
        return Ok(None);
    };
    let text = directory
        .read(name, LARGEST_FILE)
        .map_err(|why| why.to_string())?;
    text.map(|text| {
        // What is read may be written back: no byte is to be lost on the way.
        String::from_utf8(text).map_err(|_| format!("{} is not UTF-8", path.display()))
    })
    .transpose()
}

/// Makes the directory `path` for a user; those above it, as far as they are missing, are root's.
///
/// # Errors
/// A directory above it is not root's alone, or the disk is full or read-only.
pub(crate) fn make_for(path: &Path, owner: Uid, group: Gid, mode: u32) -> Result<bool, String> {
    let (parent, name) = split(path)?;
    make(parent)?
        .make_directory(name, owner, group, mode)
        .map_err(|why| why.to_string())
}

/// Opens a directory of root's, and makes it where it is missing.
fn make(path: &Path) -> Result<Directory, String> {
    if let Some(directory) = open(path)? {
        return Ok(directory);
    }
    let (parent, name) = split(path)?;
    make(parent)?
        .make_directory(name, Uid::from_raw(0), Gid::from_raw(0), 0o755)
        .map_err(|why| why.to_string())?;
    open(path)?.ok_or_else(|| format!("{} was removed just now", path.display()))
}

/// Opens a directory of root's; `None` if there is none.
///
/// # Errors
/// The directory, or another above it, is not root's alone.
pub(crate) fn open(path: &Path) -> Result<Option<Directory>, String> {
    Directory::open(&Trust::default(), path).map_err(|why| why.to_string())
}

fn split(path: &Path) -> Result<(&Path, &OsStr), String> {
    let parts = path.parent().zip(path.file_name());
    parts.ok_or_else(|| format!("{} is no file's path", path.display()))
}

/// The link by which nginx takes a site, and where it leads.
#[must_use]
pub(crate) fn site_link(site: &Path) -> (PathBuf, PathBuf) {
    let name = site.file_name().unwrap_or_default();
    (
        Path::new("/etc/nginx/sites-enabled").join(name),
        Path::new("../sites-available").join(name),
    )
}
