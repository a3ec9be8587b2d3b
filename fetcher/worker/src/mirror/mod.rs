//! The bare repository that holds what was fetched. All of it is for the holder of the app's lock:
//! nothing here guards against a second process.

mod complete;
mod history;
mod pins;
mod receive;
mod repack;
mod sweep;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use git2::{ErrorCode, ObjectType, Oid, Repository};
use thiserror::Error;

use history::links;
use pins::PINS;
pub(crate) use receive::{Pack, PackError};
pub(crate) use repack::MANY;

/// Why the mirror is of no use.
#[derive(Debug, Error)]
pub(crate) enum MirrorError {
    /// It is damaged. Nothing in it is needed: set it aside and fetch again.
    #[error("the mirror {} is damaged ({why}); it can be set aside and fetched anew", path.display())]
    Broken {
        /// The mirror.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The file system.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// What is to be deployed is no commit.
    #[error("it stands for a {kind}, not for a commit")]
    NoCommit {
        /// What it is.
        kind: &'static str,
    },
    /// An object that should be there is not, or cannot be read.
    #[error("the mirror {} cannot give {id}: {why}", path.display())]
    Object {
        /// The mirror.
        path: PathBuf,
        /// The object.
        id: Oid,
        /// What libgit2 says.
        why: String,
    },
}

/// The bare repository of one app.
pub(crate) struct Mirror {
    path: PathBuf,
    repository: Repository,
}

impl Mirror {
    /// Opens the mirror at `path`, which must be there; removes what a killed process left in it (rule
    /// 31). The parent holds the app's lock.
    ///
    /// # Errors
    /// [`MirrorError::Broken`] if it is damaged: the parent decides on setting it aside.
    pub(crate) fn open(path: &Path) -> Result<Self, MirrorError> {
        sweep::sweep(path)?;
        // Every object was hashed when it was received; hashing it again at each reading would cost
        // a checkout a third of its time. A damaged one still fails, by zlib's own checksum.
        git2::opts::strict_hash_verification(false);
        let repository = Repository::open_bare(path).map_err(|error| broken(path, &error))?;
        let mirror = Self {
            path: path.to_owned(),
            repository,
        };
        mirror.check()?;
        Ok(mirror)
    }

    /// Where it is.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The repository, for reading.
    #[must_use]
    pub(crate) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Whether an object is here. Packs are taken in only with all they need, so what is here is
    /// here with its whole history.
    #[must_use]
    pub(crate) fn contains(&self, id: Oid) -> bool {
        self.repository.odb().is_ok_and(|odb| odb.exists(id))
    }

    /// The object database.
    ///
    /// # Errors
    /// [`MirrorError::Broken`].
    pub(crate) fn odb(&self) -> Result<git2::Odb<'_>, MirrorError> {
        self.repository.odb().map_err(|error| self.damaged(&error))
    }

    /// Takes a verified pack from a directory inside the mirror: synced before it gets its name, so
    /// that no crash leaves a cut one.
    pub(super) fn accept(&self, incoming: &Path, checksum: &str) -> Result<(), MirrorError> {
        let packs = self.path.join("objects/pack");
        // The index last: a pack without an index is not seen by anybody.
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

    /// Looks again at which packs there are.
    pub(super) fn refresh(&self) -> Result<(), MirrorError> {
        let refreshed = self.repository.odb().and_then(|odb| odb.refresh());
        refreshed.map_err(|error| self.damaged(&error))
    }

    pub(super) fn damaged(&self, error: &git2::Error) -> MirrorError {
        broken(&self.path, error)
    }

    /// Cheap proof that the mirror is sound where we need it: packs are whole by their trailers,
    /// pins are readable commits with readable trees.
    fn check(&self) -> Result<(), MirrorError> {
        sweep::check_packs(&self.path)?;
        // Walking the refs passes over one that is no ref, and writing it again then fails for ever.
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
        missing(&self.path, id, error)
    }
}

/// An object of the mirror at `path` is not there, or cannot be read.
pub(crate) fn missing(path: &Path, id: Oid, error: &git2::Error) -> MirrorError {
    MirrorError::Object {
        path: path.to_owned(),
        id,
        why: error.message().to_owned(),
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
