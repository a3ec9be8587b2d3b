//! Files with a secret in them: one line, read when it is needed, and shown to nobody.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The most bytes of a secret.
const LARGEST: u64 = 4096;

/// Reads the secret in a file, without the line's end.
///
/// # Errors
/// A sentence that says what is wrong with the file, and what to do.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let wrong = |what: String| format!("{}: {what}", path.display());
    let flags = libc::O_NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| {
        wrong(format!(
            "{error}; the file must be readable by the user pp-notify: chown root:pp-notify {0}; chmod 640 {0}",
            path.display()
        ))
    })?;
    let found = file.metadata().map_err(|error| wrong(error.to_string()))?;
    if !found.is_file() {
        return Err(wrong("is no regular file".to_owned()));
    }
    if found.mode() & 0o007 != 0 {
        return Err(wrong(format!(
            "everybody on this host may read it (mode {:o}): chown root:pp-notify {2}; chmod 640 {2}; and have a new secret made{1}",
            found.mode() & 0o777,
            "",
            path.display()
        )));
    }
    let mut text = String::new();
    let read = file.take(LARGEST + 1).read_to_string(&mut text);
    read.map_err(|error| wrong(error.to_string()))?;
    let secret = text.trim();
    match secret {
        "" => Err(wrong(
            "is empty: write the secret into it, on one line".to_owned(),
        )),
        secret if secret.lines().count() > 1 || text.len() as u64 > LARGEST => {
            Err(wrong("holds more than one line".to_owned()))
        }
        secret if secret.chars().any(char::is_control) => {
            Err(wrong("holds a control character".to_owned()))
        }
        secret => Ok(secret.to_owned()),
    }
}
