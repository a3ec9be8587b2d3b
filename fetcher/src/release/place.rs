//! Checks whether an app's root can hold releases: it exists or can be made, is writable, and belongs to the
//! right group.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, Gid, Group, Uid, User, access, getegid, geteuid};

use crate::space;

/// Checks `root` and the directories in it. Gives remarks about settings that differ from those in the manual
/// page.
///
/// # Errors
/// The reason why no release can be made there, with path, owner and mode, and how to fix it.
pub(crate) fn look(root: &Path) -> Result<Vec<String>, String> {
    if root.symlink_metadata().is_err() {
        return missing(root).map(|()| Vec::new());
    }
    if !root.is_dir() {
        return Err(format!("{} is not a directory", root.display()));
    }
    writable(root)?;
    for name in ["releases", "shared"] {
        let path = root.join(name);
        if path.symlink_metadata().is_ok() {
            writable(&path)?;
        }
    }
    Ok(remarks(root))
}

fn missing(root: &Path) -> Result<(), String> {
    let parent = nearest_directory(root).unwrap_or(Path::new("/"));
    let make = || {
        format!(
            "as root: install -d -m 2775 -o {} -g {} {}",
            user(geteuid()),
            group(getegid()),
            root.display()
        )
    };
    let cannot = |why: String, mend: String| {
        let root = root.display();
        Err(format!(
            "{root} is not there and cannot be made: {why}\n  {mend}"
        ))
    };
    match (may_write(parent), space::read_only(parent)) {
        (_, Some(why)) => cannot(why, make()),
        (false, None) => cannot(owned(parent), make()),
        (true, None) => Ok(()),
    }
}

/// Gives the directory that is there: `path` itself, or the closest above it.
pub(crate) fn nearest_directory(path: &Path) -> Option<&Path> {
    path.ancestors().find(|path| path.is_dir())
}

fn writable(path: &Path) -> Result<(), String> {
    if let Some(why) = space::read_only(path) {
        return Err(why);
    }
    if may_write(path) {
        return Ok(());
    }
    let (user, group) = (user(geteuid()), group(getegid()));
    Err(format!(
        "{0} cannot be written by {user}: {1}\n  as root: chown {user}:{group} {0} && chmod 2775 {0}",
        path.display(),
        owned(path)
    ))
}

/// Whether this user may make files in the directory `path`.
pub(crate) fn may_write(path: &Path) -> bool {
    access(path, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}

/// Describes owner and mode of `path`: `/srv belongs to root:root, mode 0755`.
pub(crate) fn owned(path: &Path) -> String {
    match fs::metadata(path) {
        Ok(found) => format!(
            "{} belongs to {}:{}, mode {:04o}",
            path.display(),
            user(Uid::from_raw(found.uid())),
            group(Gid::from_raw(found.gid())),
            found.mode() & 0o7777
        ),
        Err(error) => format!("{}: {error}", path.display()),
    }
}

/// Gives remarks about settings that prevent no deploy now but lead to files that the group cannot write.
fn remarks(root: &Path) -> Vec<String> {
    let Ok(found) = fs::metadata(root) else {
        return Vec::new();
    };
    let (shown, ours) = (root.display(), getegid());
    let mut remarks = Vec::new();
    if found.gid() != ours.as_raw() {
        let (theirs, ours) = (group(Gid::from_raw(found.gid())), group(ours));
        remarks.push(format!(
            "{shown} belongs to the group {theirs}, and pp-fetcher runs with {ours}: what is deployed is not for \
             the members of {ours}; as root: chgrp {ours} {shown}"
        ));
    }
    if found.mode() & 0o2000 == 0 {
        remarks.push(format!(
            "{shown} has no setgid bit (mode {:04o}): what others make in it does not belong to its group; as its \
             owner: chmod g+s {shown}",
            found.mode() & 0o7777
        ));
    }
    remarks
}

/// Gives a remark for each directory in the build script's environment that is writable by owner and mode,
/// but read-only in the unit that this process runs in.
#[must_use]
pub(crate) fn look_at_environment(environment: &BTreeMap<String, String>) -> Vec<String> {
    let read_only = |value: &String| {
        let path = Path::new(value);
        let there = nearest_directory(path)?;
        // The kernel checks owner and mode first: a directory that this user may not write anyway is no
        // mistake.
        let refused = access(there, AccessFlags::W_OK).err()?;
        (path.is_absolute() && refused == Errno::EROFS).then(|| space::read_only(there))?
    };
    let mut remarks = Vec::new();
    for (name, value) in environment {
        if let Some(why) = read_only(value) {
            remarks.push(format!("{name} under [deploy.env] is {value}: {why}"));
        }
    }
    remarks
}

/// Gives a user's name, or the number if the user has no name.
#[must_use]
pub(crate) fn user(uid: Uid) -> String {
    let known = User::from_uid(uid).ok().flatten();
    known.map_or_else(|| uid.to_string(), |user| user.name)
}

/// Gives a group's name, or the number if the group has no name.
#[must_use]
pub(crate) fn group(gid: Gid) -> String {
    let known = Group::from_gid(gid).ok().flatten();
    known.map_or_else(|| gid.to_string(), |group| group.name)
}
