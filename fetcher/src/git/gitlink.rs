//! Submodules, as the objects in the mirror name them.
//!
//! A submodule's objects lie in the app's mirror beside its own: objects are named by what they are,
//! so two repositories cannot disagree about one, and the commit that the app's tree names is proof
//! of every byte below it, wherever it came from.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use git2::{ObjectType, Oid};

use super::mirror::{Mirror, MirrorError};

/// What the pins of submodules begin with.
pub const PIN: &str = "submodule-";

/// The kind of a tree entry that stands for a commit of another repository.
const GITLINK: i32 = 0o160_000;

impl Mirror {
    /// The commit that `revision` wants at `path`, if there is a submodule. The path may lead through
    /// other submodules whose commits are here.
    ///
    /// # Errors
    /// [`MirrorError::Object`] if a tree or commit on the way is not here.
    pub fn gitlink(&self, revision: Oid, path: &Path) -> Result<Option<Oid>, MirrorError> {
        let repository = self.repository();
        let mut tree = self.tree_of(revision)?;
        let mut names = path.iter().peekable();
        while let Some(name) = names.next() {
            let Some(entry) = tree.get_name_bytes(name.as_bytes()) else {
                return Ok(None);
            };
            let (id, kind) = (entry.id(), entry.kind());
            let link = entry.filemode_raw() & 0o170_000 == GITLINK;
            if names.peek().is_none() {
                return Ok(link.then_some(id));
            }
            drop(entry);
            tree = match kind {
                _ if link => self.tree_of(id)?,
                Some(ObjectType::Tree) => repository
                    .find_tree(id)
                    .map_err(|error| self.missing(id, &error))?,
                _ => return Ok(None),
            };
        }
        Ok(None)
    }

    fn tree_of(&self, commit: Oid) -> Result<git2::Tree<'_>, MirrorError> {
        let found = self.repository().find_commit(commit);
        found
            .and_then(|commit| commit.tree())
            .map_err(|error| self.missing(commit, &error))
    }
}
