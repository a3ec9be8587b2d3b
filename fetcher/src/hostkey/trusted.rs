//! Decides which of ssh's files may be used by root: only files that nobody else can write.
//!
//! A `config` names programs that ssh runs (`Match exec`, `ProxyCommand`), and decides which server is meant;
//! `known_hosts` decides which key is accepted as that server's. The private key does not matter here: no
//! login is tried.

use std::path::Path;

use pp_trusted::{Directory, Trust};

use crate::config::Ssh;

/// Size of the largest of these files that is read, in bytes.
pub(crate) const LARGEST: u64 = 4 * 1024 * 1024;

/// Checks that the files which an app's `[ssh]` names can only be written by root.
///
/// # Errors
/// Which file a user other than root can write, and what to do.
pub(crate) fn check(ssh: &Ssh) -> Result<(), String> {
    for (key, path) in [("config", &ssh.config), ("known_hosts", &ssh.known_hosts)] {
        if let Some(path) = path {
            read(key, path)?;
        }
    }
    Ok(())
}

/// Opens the directory of such a file, and reads the file; `None` instead of its text if it does not exist.
///
/// # Errors
/// A user other than root can write the file or a directory above it.
pub(crate) fn read(key: &str, path: &Path) -> Result<(Directory, Option<Vec<u8>>), String> {
    let told = |why: String| {
        format!(
            "`{key}` under [ssh]: {why}\n  root trusts no file that others can write: put it into a directory that is root's, \
             such as /etc/pp-fetcher, or run this as the user of the apps"
        )
    };
    let (parent, name) = path
        .parent()
        .zip(path.file_name())
        .ok_or_else(|| told(format!("{} is no file", path.display())))?;
    let directory =
        Directory::open(&Trust::default(), parent).map_err(|why| told(why.to_string()))?;
    let directory = directory.ok_or_else(|| told(format!("{} is not there", parent.display())))?;
    let text = directory
        .read(name, LARGEST)
        .map_err(|why| told(why.to_string()))?;
    Ok((directory, text))
}
