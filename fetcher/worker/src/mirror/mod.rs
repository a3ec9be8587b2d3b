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

use git2::{ErrorCode, ObjectType, Odb, Oid, Repository};
use tempfile::TempDir;
use thiserror::Error;

pub(crate) use descent::Descent;
pub(crate) use history::oid;
use history::{has, links};
pub(crate) use index::{Pack, Received};
pub(crate) use packs::{PackReader, Packs};
use pins::PINS;
pub(crate) use receive::PackError;
pub(crate) use repack::MANY;

/// The directory of packs in a directory of objects.
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
        /// What libgit2 or gix-pack says.
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
        // Every object was hashed when it was received; hashing it again at each reading would cost
        // a checkout a third of its time. A damaged object still fails, by zlib's own checksum.
        git2::opts::strict_hash_verification(false);
        let repository = Repository::open_bare(path).map_err(|error| broken(path, &error))?;
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
    /// # Errors
    /// [`MirrorError::Broken`].
    pub(crate) fn packs(&self) -> Result<Rc<Packs>, MirrorError> {
        let mut kept = self.packs.borrow_mut();
        if let Some(packs) = &*kept {
            return Ok(Rc::clone(packs));
        }
        let history = self.history.borrow();
        let history = history.as_ref().map(|all| all.path().join(PACKS));
        let packs = Rc::new(Packs::open(&self.path, history.as_deref())?);
        Ok(Rc::clone(kept.insert(packs)))
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
        self.repository.odb().is_ok_and(|odb| has(&odb, id))
    }

    /// Opens the objects of the mirror together with those in the directory `others`.
    fn objects_with(&self, others: Option<&Path>) -> Result<Odb<'_>, git2::Error> {
        let both = Odb::new()?;
        let unfit = || git2::Error::from_str("the mirror's path is not UTF-8");
        for directory in [Some(&*self.path.join("objects")), others].iter().flatten() {
            both.add_disk_alternate(directory.to_str().ok_or_else(unfit)?)?;
        }
        Ok(both)
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
        let packs = self.path.join("objects/pack");
        // The index is moved last: git ignores a pack without an index.
        for ending in ["pack", "idx"] {
            let name = format!("pack-{checksum}.{ending}");
            let (from, to) = (incoming.join(&name), packs.join(&name));
            let file = File::open(&from).map_err(at("open", &from))?;
            file.sync_all().map_err(at("sync", &from))?;
            fs::rename(&from, &to).map_err(at("rename", &from))?;
        }
        sync_dir(&packs)?;
        self.refresh()
    }

    /// Looks again which packs there are, and has libgit2 do so.
    pub(super) fn refresh(&self) -> Result<(), MirrorError> {
        self.packs.take();
        let refreshed = self.repository.odb().and_then(|odb| odb.refresh());
        refreshed.map_err(|error| self.damaged(&error))
    }

    pub(super) fn damaged(&self, error: &git2::Error) -> MirrorError {
        broken(&self.path, error)
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
            found.map_err(|error| broken(&self.path, &error))?;
        }
        let odb = self.repository.odb();
        let odb = odb.map_err(|error| broken(&self.path, &error))?;
        for pin in self.pins(|_| true)? {
            let tree = links(&odb, pin).and_then(|links| odb.read(links.tree).map(|t| t.kind()));
            match tree {
                Ok(ObjectType::Tree) => {}
                Ok(_) => {
                    let error = git2::Error::from_str("a pin has no tree");
                    return Err(broken(&self.path, &error));
                }
                Err(error) => return Err(broken(&self.path, &error)),
            }
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

fn broken(path: &Path, error: &git2::Error) -> MirrorError {
    let class = if error.code() == ErrorCode::Owner {
        "it belongs to another user"
    } else {
        error.message()
    };
    MirrorError::Broken {
        path: path.to_owned(),
        why: class.to_owned(),
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
