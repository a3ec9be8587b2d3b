//! The bare repository that holds what was fetched. All of it is for the holder of the app's lock:
//! nothing here guards against a second process.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use git2::{ErrorCode, ObjectType, Oid, Repository};
use jiff::Timestamp;
use thiserror::Error;

use super::history::links;
use super::{skeleton, sweep, text};
use crate::space;

/// Where pins live. Nothing else in the mirror is a ref.
const PINS: &str = "refs/pp/";

/// What the pins of submodules begin with.
pub const SUBMODULE: &str = "submodule-";

/// Why the mirror is of no use.
#[derive(Debug, Error)]
pub enum MirrorError {
    /// It is damaged. Nothing in it is needed: set it aside and fetch again.
    #[error("the mirror {} is damaged ({why}); it can be set aside and fetched anew", path.display())]
    Broken {
        /// The mirror.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The file system.
    #[error("cannot {what} {}: {source}{}", path.display(), space::advice(source))]
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
pub struct Mirror {
    path: PathBuf,
    repository: Repository,
}

impl Mirror {
    /// Opens the mirror at `path`, or makes it; removes what a killed process left in it (rule 31).
    /// The caller holds the app's lock.
    ///
    /// # Errors
    /// [`MirrorError::Broken`] if it is damaged: the caller decides on [`Mirror::set_aside`].
    pub fn open_or_create(path: &Path) -> Result<Self, MirrorError> {
        skeleton::provide(path)?;
        Self::open(path)
    }

    /// Opens the mirror at `path`, as [`Mirror::open_or_create`] does; it must be there.
    ///
    /// # Errors
    /// [`MirrorError::Broken`] if it is damaged.
    pub fn open(path: &Path) -> Result<Self, MirrorError> {
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

    /// Moves a damaged mirror out of the way, in place of one set aside before, and says where to.
    ///
    /// # Errors
    /// [`MirrorError::Io`].
    pub fn set_aside(path: &Path) -> Result<PathBuf, MirrorError> {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let prefix = format!("{name}.broken-");
        let parent = path.parent().unwrap_or(Path::new("."));
        // One is enough to look into; more would fill the disk.
        for old in fs::read_dir(parent).map_err(at("read", parent))?.flatten() {
            if old.file_name().to_string_lossy().starts_with(&prefix) {
                fs::remove_dir_all(old.path()).map_err(at("remove", &old.path()))?;
            }
        }
        let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let aside = parent.join(prefix + &time);
        fs::rename(path, &aside).map_err(at("rename", path))?;
        sync_dir(parent)?;
        Ok(aside)
    }

    /// Opens the mirror at `path` where nothing of it may be changed: nothing is swept.
    ///
    /// # Errors
    /// [`MirrorError::Broken`] if it is damaged.
    pub fn open_to_read(path: &Path) -> Result<Self, MirrorError> {
        git2::opts::strict_hash_verification(false);
        let repository = Repository::open_bare(path).map_err(|error| broken(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            repository,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The repository, for reading.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Whether an object is here. Packs are taken in only with all they need, so what is here is
    /// here with its whole history.
    #[must_use]
    pub fn contains(&self, id: Oid) -> bool {
        self.repository.odb().is_ok_and(|odb| odb.exists(id))
    }

    /// The content of an object.
    ///
    /// # Errors
    /// [`MirrorError::Object`]: it is not here, or longer than `most`.
    pub fn object(&self, id: Oid, most: usize) -> Result<Vec<u8>, MirrorError> {
        let read = || -> Result<Vec<u8>, git2::Error> {
            let odb = self.repository.odb()?;
            let (length, _) = odb.read_header(id)?;
            if length > most {
                return Err(git2::Error::from_str("it is too long"));
            }
            Ok(odb.read(id)?.data().to_vec())
        };
        read().map_err(|error| self.missing(id, &error))
    }

    /// Keeps `id` under a name (letters, digits and `-`): what is pinned is what the next fetch
    /// builds on.
    ///
    /// # Errors
    /// [`MirrorError::Object`] if it is not here or the ref cannot be written.
    pub fn pin(&self, name: &str, id: Oid) -> Result<(), MirrorError> {
        let reference = self
            .repository
            .reference(&format!("{PINS}{name}"), id, true, "");
        reference.map_err(|error| self.missing(id, &error))?;
        Ok(())
    }

    /// What is pinned under a name.
    #[must_use]
    pub fn pinned(&self, name: &str) -> Option<Oid> {
        self.repository.refname_to_id(&format!("{PINS}{name}")).ok()
    }

    /// What is pinned of the repository whose fetches are kept as `pin`, and some of its history, newest
    /// first, to tell its server. The app's server is told nothing of a submodule's history, and the
    /// other way round.
    pub(super) fn haves(&self, pin: &str) -> Result<Vec<Oid>, MirrorError> {
        let tips = if pin.starts_with(SUBMODULE) {
            self.pins(|name| name == pin)?
        } else {
            self.pins(|name| !name.starts_with(SUBMODULE))?
        };
        self.recent(tips)
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

    fn pins(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<Oid>, MirrorError> {
        let refs = self.repository.references_glob(&format!("{PINS}*"));
        let refs = refs.map_err(|error| broken(&self.path, &error))?;
        let mut pins = Vec::new();
        for reference in refs {
            let reference = reference.map_err(|error| broken(&self.path, &error))?;
            let name = reference.name().unwrap_or_default();
            if !wanted(name.strip_prefix(PINS).unwrap_or_default()) {
                continue;
            }
            let commit = reference.target().map(|id| self.commit_of(id));
            let commit = commit
                .and_then(Result::ok)
                .ok_or_else(|| broken(&self.path, &git2::Error::from_str("a pin is no commit")))?;
            pins.push(commit);
        }
        pins.dedup();
        Ok(pins)
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

    pub(super) fn missing(&self, id: Oid, error: &git2::Error) -> MirrorError {
        MirrorError::Object {
            path: self.path.clone(),
            id,
            why: text::line(error.message().as_bytes()),
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
        why: text::line(class.as_bytes()),
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
