//! What will be written, found out before anything is: names, kinds, sizes.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use git2::{ObjectType, Odb, Oid, Repository};

use super::error::{CheckoutError, Refusal};
use super::{Budget, CheckedOut, link, name};
use crate::git::{Mirror, text};
use crate::proof;
use crate::space::Need;

/// Longest path below the release in bytes: room for the release's own path up to `PATH_MAX`.
const LONGEST_PATH: usize = 3500;

/// A file to write.
#[derive(Debug)]
pub(super) struct PlannedFile {
    pub(super) path: PathBuf,
    pub(super) id: Oid,
    pub(super) size: u64,
    pub(super) executable: bool,
}

/// A link to make, its target checked already.
#[derive(Debug)]
pub(super) struct PlannedLink {
    pub(super) path: PathBuf,
    pub(super) target: PathBuf,
}

/// The whole tree. Directories stand before what is in them.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) directories: Vec<PathBuf>,
    pub(super) files: Vec<PlannedFile>,
    pub(super) links: Vec<PlannedLink>,
    bytes: u64,
}

impl Plan {
    pub(super) fn totals(&self) -> CheckedOut {
        CheckedOut {
            files: self.files.len() as u64,
            links: self.links.len() as u64,
            directories: self.directories.len() as u64,
            bytes: self.bytes,
            copied: 0,
        }
    }

    /// What it takes on disk, wherever the content comes from: a copy takes as much. Each file ends in a block that it does not fill, half of it on average.
    pub(super) fn need(&self) -> Need {
        let inodes = self.entries();
        Need {
            bytes: self.bytes.saturating_add(inodes.saturating_mul(2048)),
            inodes,
        }
    }

    fn entries(&self) -> u64 {
        let totals = self.totals();
        totals.files + totals.links + totals.directories
    }
}

/// Looks at every entry of the tree of `revision`.
pub(super) fn plan(
    mirror: &Mirror,
    revision: Oid,
    budget: &Budget,
    deadline: Instant,
) -> Result<Plan, CheckoutError> {
    let repository = mirror.repository();
    let broken = |error: git2::Error| object_error(Path::new(""), revision, &error);
    let odb = repository.odb().map_err(broken)?;
    let root = tree_of(&odb, revision).map_err(broken)?;
    let mut planner = Planner {
        repository,
        odb,
        budget,
        plan: Plan::default(),
    };
    let mut left = vec![(PathBuf::new(), root, 0)];
    while let Some((path, tree, depth)) = left.pop() {
        if Instant::now() > deadline {
            return Err(CheckoutError::TimedOut(budget.time));
        }
        planner.tree(&path, tree, depth, &mut left)?;
    }
    Ok(planner.plan)
}

struct Planner<'a> {
    repository: &'a Repository,
    odb: Odb<'a>,
    budget: &'a Budget,
    plan: Plan,
}

/// A tree to look at: its path, its object, the number of directories above its entries.
type Left = Vec<(PathBuf, Oid, usize)>;

impl Planner<'_> {
    fn tree(
        &mut self,
        path: &Path,
        id: Oid,
        depth: usize,
        left: &mut Left,
    ) -> Result<(), CheckoutError> {
        let tree = self.repository.find_tree(id);
        let tree = tree.map_err(|error| object_error(path, id, &error))?;
        let mut names = HashSet::with_capacity(tree.len());
        for entry in &tree {
            let name = entry.name_bytes();
            let path = path.join(OsStr::from_bytes(name));
            self.entry(&path, name, &entry, depth, left)
                .and_then(|()| {
                    names
                        .insert(name.to_owned())
                        .then_some(())
                        .ok_or(Problem::Refused(Refusal::Twice))
                })
                .map_err(|problem| match problem {
                    Problem::Refused(why) => refused(&path, why),
                    Problem::Object(error) => object_error(&path, entry.id(), &error),
                })?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        path: &Path,
        name: &[u8],
        entry: &git2::TreeEntry<'_>,
        depth: usize,
        left: &mut Left,
    ) -> Result<(), Problem> {
        name::check(name)?;
        if self.budget.rules.leaves_out(path.as_os_str().as_bytes()) {
            return Ok(());
        }
        if path.as_os_str().len() > LONGEST_PATH {
            return Err(Refusal::PathLength(LONGEST_PATH).into());
        }
        if self.plan.entries() >= self.budget.entries {
            return Err(Refusal::Entries(self.budget.entries).into());
        }
        // The kind decides; of the permissions only the owner's x counts, so a setuid bit goes.
        let mode = entry.filemode_raw();
        match mode & 0o170_000 {
            0o040_000 | 0o160_000 if depth >= self.budget.depth => {
                return Err(Refusal::Depth(self.budget.depth).into());
            }
            0o040_000 => {
                self.plan.directories.push(path.to_owned());
                left.push((path.to_owned(), entry.id(), depth + 1));
            }
            0o100_000 => self.file(path, entry.id(), mode & 0o100 != 0)?,
            0o120_000 => self.link(path, entry.id(), depth)?,
            0o160_000 if self.budget.rules.empty.contains(path) => {
                self.plan.directories.push(path.to_owned());
            }
            0o160_000 if !self.budget.submodules.contains(path) => {
                return Err(Refusal::Submodule.into());
            }
            0o160_000 => {
                let tree = tree_of(&self.odb, entry.id()).map_err(Problem::Object)?;
                self.plan.directories.push(path.to_owned());
                left.push((path.to_owned(), tree, depth + 1));
            }
            _ => return Err(Refusal::Mode(mode).into()),
        }
        Ok(())
    }

    /// The size comes from the object's header: nothing is read that is too large to be.
    fn size(&self, id: Oid) -> Result<u64, Problem> {
        let (size, kind) = self.odb.read_header(id).map_err(Problem::Object)?;
        if kind != ObjectType::Blob {
            let error = git2::Error::from_str("the object is not a file's content");
            return Err(Problem::Object(error));
        }
        Ok(size as u64)
    }

    fn file(&mut self, path: &Path, id: Oid, executable: bool) -> Result<(), Problem> {
        let size = self.size(id)?;
        let limit = self.budget.file_bytes;
        if size > limit {
            return Err(Refusal::FileSize { size, limit }.into());
        }
        self.plan.bytes = self.plan.bytes.saturating_add(size);
        if self.plan.bytes > self.budget.bytes {
            return Err(Refusal::Bytes(self.budget.bytes).into());
        }
        self.plan.files.push(PlannedFile {
            path: path.to_owned(),
            id,
            size,
            executable,
        });
        Ok(())
    }

    fn link(&mut self, path: &Path, id: Oid, depth: usize) -> Result<(), Problem> {
        if self.size(id)? > link::LONGEST {
            let target = format!("a target of more than {} bytes", link::LONGEST);
            return Err(Refusal::Link { target }.into());
        }
        let target = self.odb.read(id).map_err(Problem::Object)?;
        if self.budget.rules.may_leave(path.as_os_str().as_bytes()) {
            link::check_free(target.data())?;
        } else {
            link::check(target.data(), depth)?;
        }
        self.plan.links.push(PlannedLink {
            path: path.to_owned(),
            target: OsStr::from_bytes(target.data()).into(),
        });
        Ok(())
    }
}

/// The tree of a commit, whatever else stands in it.
fn tree_of(odb: &Odb<'_>, commit: Oid) -> Result<Oid, git2::Error> {
    let object = odb.read(commit)?;
    let read = proof::commit::commit(object.data());
    let read = read.ok_or_else(|| git2::Error::from_str("it is no commit as git writes them"))?;
    Oid::from_bytes(read.tree.as_bytes())
}

/// What is wrong with an entry, before its path is added.
enum Problem {
    Refused(Refusal),
    Object(git2::Error),
}

impl From<Refusal> for Problem {
    fn from(why: Refusal) -> Self {
        Self::Refused(why)
    }
}

pub(super) fn refused(path: &Path, why: Refusal) -> CheckoutError {
    CheckoutError::Refused {
        path: name::shown(path.as_os_str().as_bytes()),
        why,
    }
}

pub(super) fn object_error(path: &Path, id: Oid, error: &git2::Error) -> CheckoutError {
    CheckoutError::Object {
        path: name::shown(path.as_os_str().as_bytes()),
        id,
        why: text::line(error.message().as_bytes()),
    }
}
