//! The mirror: the bare repository that holds the fetched objects. Only a process whose parent holds the app's
//! lock may use the mirror: nothing here guards against a second process.

mod complete;
mod descent;
mod history;
mod index;
mod packs;
mod pins;
mod receive;
mod repack;
mod sweep;

use std::cell::RefCell;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use git2::{ErrorCode, Oid, Repository};
use pp_objects::Kind;
use pp_objects::protocol::MOST_BYTES;
use tempfile::TempDir;
use thiserror::Error;

pub(crate) use descent::Descent;
use history::links;
pub(crate) use history::oid;
pub(crate) use index::{Pack, Received};
pub(crate) use packs::{PackReader, Packs};
use pins::PINS;
pub(crate) use receive::PackError;
pub(crate) use repack::MANY;

/// The directory of objects in a mirror, and that of packs in a directory of objects (gitrepository-layout(5)).
const OBJECTS: &str = "objects";
const PACKS: &str = "pack";

/// Why the mirror cannot be used.
#[derive(Debug, Error)]
pub(crate) enum MirrorError {
    /// The mirror is damaged. Nothing in it is needed: the parent may set it aside and fetch again.
    #[error("the mirror {} is damaged ({why}); it can be set aside and fetched anew", path.display())]
    Broken {
        /// The mirror's directory.
        path: PathBuf,
        /// What is wrong with the mirror.
        why: String,
    },
    /// The file system returned an error.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// The action that failed.
        what: &'static str,
        /// The file or directory of the action.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// The object to be deployed is not a commit.
    #[error("it stands for a {kind}, not for a commit")]
    NoCommit {
        /// The kind of the object.
        kind: &'static str,
    },
    /// An object that should be in the mirror is missing or unreadable.
    #[error("the mirror {} cannot give {id}: {why}", path.display())]
    Object {
        /// The mirror's directory.
        path: PathBuf,
        /// The object.
        id: Oid,
        /// The reason.
        why: String,
    },
}

/// The bare repository of one app, opened.
pub(crate) struct Mirror {
    path: PathBuf,
    repository: Repository,
    /// The packs, once they were read from and until another one comes.
    packs: RefCell<Option<Rc<Packs>>>,
    /// Packs that are here for their commits alone, outside of the mirror: their trees and files may be incomplete.
    history: RefCell<Option<TempDir>>,
}

impl Mirror {
    /// Opens the mirror at `path`, which must exist, and removes what a killed process left in it (rule 31).
    /// The parent holds the app's lock.
    ///
    /// # Errors
    /// [`MirrorError::Broken`] if the mirror is damaged: the parent decides whether to set it aside.
    pub(crate) fn open(path: &Path) -> Result<Self, MirrorError> {
        sweep::sweep(path)?;
        let repository = Repository::open_bare(path).map_err(|error| refused(path, &error))?;
        let mirror = Self {
            path: path.to_owned(),
            repository,
            packs: RefCell::default(),
            history: RefCell::default(),
        };
        mirror.check()?;
        Ok(mirror)
    }

    /// Returns the packs that are there now, to read objects from them. They stay open: a descent asks for each of
    /// its commits by itself.
    ///
    /// Every object was hashed when it was received, and is not hashed again: the parent hashes what it believes. A
    /// damaged object still fails, by zlib's own checksum.
    ///
    /// # Errors
    /// [`MirrorError::Broken`].
    pub(crate) fn packs(&self) -> Result<Rc<Packs>, MirrorError> {
        let mut kept = self.packs.borrow_mut();
        if let Some(packs) = &*kept {
            return Ok(Rc::clone(packs));
        }
        let own = Packs::open(&self.path)?;
        let packs = match &*self.history.borrow() {
            Some(history) => own.with(&history.path().join(PACKS))?,
            None => own,
        };
        Ok(Rc::clone(kept.insert(Rc::new(packs))))
    }

    /// Returns the repository, for reading.
    #[must_use]
    pub(crate) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Checks whether an object is in the mirror. A pack is only taken in with the commits down to
    /// the boundary of a shallow history, and with the whole tree of its tip.
    #[must_use]
    pub(crate) fn contains(&self, id: Oid) -> bool {
        self.packs().is_ok_and(|packs| packs.holds(id))
    }

    /// Makes a directory for a pack that is not whole yet; the next opening of the mirror removes what is left of it.
    ///
    /// # Errors
    /// [`MirrorError::Io`].
    fn incoming(&self) -> Result<TempDir, MirrorError> {
        let incoming = tempfile::Builder::new()
            .prefix(sweep::INCOMING)
            .tempdir_in(&self.path);
        incoming.map_err(at("create a directory in", &self.path))
    }

    /// Moves a verified pack from a directory inside the mirror to the mirror's packs. The files are synced before
    /// they get their names, so that no crash leaves a truncated pack.
    pub(super) fn accept(&self, incoming: &Path, checksum: &str) -> Result<(), MirrorError> {
        let packs = self.path.join(OBJECTS).join(PACKS);
        // The index is moved last: git ignores a pack without an index.
        for ending in ["pack", "idx"] {
            let name = format!("pack-{checksum}.{ending}");
            let (from, to) = (incoming.join(&name), packs.join(&name));
            let file = File::open(&from).map_err(at("open", &from))?;
            file.sync_all().map_err(at("sync", &from))?;
            fs::rename(&from, &to).map_err(at("rename", &from))?;
        }
        sync_dir(&packs)?;
        self.refresh();
        Ok(())
    }

    /// Looks again which packs there are as soon as an object is read.
    pub(super) fn refresh(&self) {
        self.packs.take();
    }

    pub(super) fn damaged(&self, why: impl ToString) -> MirrorError {
        broken(&self.path, why)
    }

    /// Turns the error of an object that the mirror needs into damage of the mirror.
    pub(super) fn damaged_by(&self, error: MirrorError) -> MirrorError {
        match error {
            MirrorError::Object { id, why, .. } => self.damaged(format!("{id}: {why}")),
            other => other,
        }
    }

    /// Checks cheaply that the mirror is sound where the worker needs it: packs are whole by their trailers,
    /// pins are readable commits with readable trees.
    fn check(&self) -> Result<(), MirrorError> {
        sweep::check_packs(&self.path)?;
        // libgit2's walk skips a file that is no valid ref, and every later write of that ref then fails.
        for entry in fs::read_dir(self.path.join(PINS)).into_iter().flatten() {
            let entry = entry.map_err(at("read", &self.path))?;
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                continue;
            }
            let name = format!("{PINS}{}", entry.file_name().to_string_lossy());
            let found = self.repository.refname_to_id(&name);
            found.map_err(|error| self.damaged(error.message()))?;
        }
        let packs = self.packs()?;
        let mut reader = packs.reader();
        for pin in self.pins(|_| true)? {
            let tree = links(&mut reader, pin).map(|links| links.tree);
            let tree = tree.and_then(|tree| reader.read(tree, Kind::Tree, MOST_BYTES).map(drop));
            tree.map_err(|error| self.damaged_by(error))?;
        }
        Ok(())
    }

    fn missing(&self, id: Oid, error: &git2::Error) -> MirrorError {
        MirrorError::Object {
            path: self.path.clone(),
            id,
            why: error.message().to_owned(),
        }
    }
}

fn broken(path: &Path, why: impl ToString) -> MirrorError {
    MirrorError::Broken {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

/// Turns libgit2's refusal of the mirror into an error.
fn refused(path: &Path, error: &git2::Error) -> MirrorError {
    match error.code() {
        ErrorCode::Owner => broken(path, "it belongs to another user"),
        _ => broken(path, error.message()),
    }
}

pub(super) fn sync_dir(path: &Path) -> Result<(), MirrorError> {
    let directory = File::open(path).map_err(at("open", path))?;
    directory.sync_all().map_err(at("sync", path))
}

pub(super) fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> MirrorError {
    let path = path.to_owned();
    move |source| MirrorError::Io { what, path, source }
}
