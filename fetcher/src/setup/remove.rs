//! `setup --remove`: what of an app's files setup has written, so that it may take them away again.

use std::path::Path;

use super::apply;
use super::mark;

/// What stands at the path of a file that a set-up may have made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Nothing stands there.
    Nobodys,
    /// Setup has written the file for this app.
    Ours,
    /// Somebody else has written the file.
    Foreign,
}

/// Finds out who has written the file `path`.
///
/// # Errors
/// Others than root can write it.
pub(crate) fn whose(path: &Path, app: &str) -> Result<Whose, String> {
    Ok(match apply::read(path)? {
        None => Whose::Nobodys,
        Some(text) if text.starts_with(&mark(app)) => Whose::Ours,
        Some(_) => Whose::Foreign,
    })
}
