//! `setup --remove`: what of an app's files setup has written, so that it may take them away again.

use std::path::Path;

use super::apply;
use super::mark::{Author, author};

/// What stands at the path of a file that a set-up may have made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Nothing stands there.
    Nobodys,
    /// Setup has written the file for this app, whoever has changed it since.
    Ours,
    /// Somebody else has written the file.
    Foreign,
}

/// Finds out who has written the file `path`.
///
/// # Errors
/// Others than root can write it.
pub(crate) fn whose(path: &Path, app: &str) -> Result<Whose, String> {
    let author = apply::read(path)?.map(|text| author(&text, app));
    Ok(match author {
        None => Whose::Nobodys,
        Some(Author::Setup | Author::SetupAndAnother) => Whose::Ours,
        Some(Author::Another) => Whose::Foreign,
    })
}
