//! The bare repository that holds what was fetched. All of it is for the holder of the app's lock:
//! nothing here guards against a second process.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use git2::{ErrorCode, ObjectType, Oid, Repository, Sort};
use jiff::Timestamp;
use thiserror::Error;

use super::{skeleton, sweep, text};
use crate::space;

/// Where pins live. Nothing else in the mirror is a ref.
const PINS: &str = "refs/pp/";

/// What the pins of submodules begin with.
pub const SUBMODULE: &str = "submodule-";

/// Most commits named to the server as already here.
const MOST_HAVES: usize = 256;

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

/// What is shown of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// The commit.
    pub id: Oid,
    /// The author's name, fit for a terminal.
    pub author: String,
    /// When it was committed, as its committer says.
    pub time: Timestamp,
    /// First line of the message, fit for a terminal.
    pub subject: String,
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

    /// The commit that `id` is, or that the tag object `id` stands for.
    ///
    /// # Errors
    /// [`MirrorError::Object`] if there is none.
    pub fn commit_of(&self, id: Oid) -> Result<Oid, MirrorError> {
        let object = self.repository.find_object(id, None);
        let commit = object.and_then(|o| o.peel(ObjectType::Commit));
        Ok(commit.map_err(|error| self.missing(id, &error))?.id())
    }

    /// Whether `old` is `new` or in its history: whether going from `old` to `new` is a
    /// fast-forward.
    ///
    /// # Errors
    /// [`MirrorError::Object`] if one of them is not here.
    pub fn is_ancestor(&self, old: Oid, new: Oid) -> Result<bool, MirrorError> {
        for id in [old, new] {
            let found = self.repository.find_commit(id);
            found.map_err(|error| self.missing(id, &error))?;
        }
        let descends = self.repository.graph_descendant_of(new, old);
        Ok(old == new || descends.map_err(|error| self.missing(new, &error))?)
    }

    /// The commits that lead from `new` back to `old`, both included, each a parent of the one before
    /// it; none if `old` is not among the ancestors of `new`, or not here.
    ///
    /// # Errors
    /// [`MirrorError::Object`] if a commit cannot be read.
    pub fn chain(&self, old: Oid, new: Oid) -> Result<Option<Vec<Oid>>, MirrorError> {
        // A new history does not bring the old one along.
        if !self.contains(old) || !self.is_ancestor(old, new)? {
            return Ok(None);
        }
        let mut child_of = HashMap::new();
        let mut left = VecDeque::from([new]);
        while let Some(id) = left.pop_front() {
            if id == old {
                break;
            }
            let commit = self.repository.find_commit(id);
            let commit = commit.map_err(|error| self.missing(id, &error))?;
            for parent in commit.parent_ids() {
                if let Entry::Vacant(place) = child_of.entry(parent) {
                    place.insert(id);
                    left.push_back(parent);
                }
            }
        }
        let mut chain = vec![old];
        let mut last = old;
        while let Some(&child) = child_of.get(&last).filter(|_| last != new) {
            chain.push(child);
            last = child;
        }
        chain.reverse();
        Ok(Some(chain))
    }

    /// The content of a commit, a tag or a tree.
    ///
    /// # Errors
    /// [`MirrorError::Object`]: it is not here, of another kind, or longer than `most`.
    pub fn object(&self, id: Oid, most: usize) -> Result<Vec<u8>, MirrorError> {
        let read = || -> Result<Vec<u8>, git2::Error> {
            let odb = self.repository.odb()?;
            let (length, kind) = odb.read_header(id)?;
            if length > most || kind == ObjectType::Blob {
                return Err(git2::Error::from_str("it is a file, or too long"));
            }
            Ok(odb.read(id)?.data().to_vec())
        };
        read().map_err(|error| self.missing(id, &error))
    }

    /// What is shown of a commit.
    ///
    /// # Errors
    /// [`MirrorError::Object`] if it is not here.
    pub fn commit_info(&self, id: Oid) -> Result<CommitInfo, MirrorError> {
        let commit = self.repository.find_commit(id);
        let commit = commit.map_err(|error| self.missing(id, &error))?;
        let seconds = commit.time().seconds();
        Ok(CommitInfo {
            id,
            author: text::line(commit.author().name_bytes()),
            // A committer may write any number; one that is no time is shown as the epoch.
            time: Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH),
            subject: text::line(commit.summary_bytes().unwrap_or_default()),
        })
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
        let mut haves = if pin.starts_with(SUBMODULE) {
            self.pins(|name| name == pin)?
        } else {
            self.pins(|name| !name.starts_with(SUBMODULE))?
        };
        let walk = || -> Result<Vec<Oid>, git2::Error> {
            let mut walk = self.repository.revwalk()?;
            walk.set_sorting(Sort::TIME)?;
            for &pin in &haves {
                walk.push(pin)?;
            }
            walk.take(MOST_HAVES).collect()
        };
        let history = walk().map_err(|error| broken(&self.path, &error))?;
        let mut seen: HashSet<Oid> = haves.iter().copied().collect();
        haves.extend(history.into_iter().filter(|id| seen.insert(*id)));
        Ok(haves)
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
            let commit = reference.peel_to_commit();
            pins.push(commit.map_err(|error| broken(&self.path, &error))?.id());
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
        for pin in self.pins(|_| true)? {
            let tree = self.repository.find_commit(pin).and_then(|c| c.tree());
            tree.map_err(|error| broken(&self.path, &error))?;
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
