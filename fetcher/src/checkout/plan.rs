//! Plans a checkout before anything is written: names, kinds, sizes, targets of links. Every object
//! that is read here is proven by its id.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use pp_objects::tree::{DIRECTORY, Entry, FILE, GITLINK, LINK, tree};
use pp_objects::{Kind, ObjectId};

use super::deadline::Deadline;
use super::error::{CheckoutError, Refusal};
use super::refusal::{malformed, refused};
use super::{Budget, CheckedOut, link, name, within};
use crate::space::SpaceNeed;
use crate::worker::Objects;

/// The longest path below the release in bytes: it leaves room for the release's own path up to `PATH_MAX`.
const LONGEST_PATH: usize = 3500;

/// The most bytes in all paths together: 200,000 entries with 300 bytes each.
const MOST_PATHS: usize = 64 << 20;

/// The number of trees or links asked of the worker at a time.
const BATCH: usize = 256;

/// A file that will be written.
#[derive(Debug)]
pub(super) struct PlannedFile {
    pub(super) path: PathBuf,
    pub(super) id: ObjectId,
    /// The size in bytes as the worker says; a file that turns out to be of another size is refused.
    pub(super) size: u64,
    pub(super) executable: bool,
}

/// A symbolic link that will be made.
#[derive(Debug)]
pub(super) struct PlannedLink {
    pub(super) path: PathBuf,
    pub(super) target: PathBuf,
    /// The number of directories above the link.
    depth: usize,
    id: ObjectId,
}

/// The plan of the whole tree. Each directory stands before the directories in it.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) directories: Vec<PathBuf>,
    pub(super) files: Vec<PlannedFile>,
    pub(super) links: Vec<PlannedLink>,
    /// The `.gitattributes` files above the directory that is written, each with its directory.
    pub(super) attributes_above: Vec<(PathBuf, ObjectId)>,
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

    /// Returns the room that the tree takes on disk, wherever the content comes from: a copy takes as much. The last
    /// block of each file is not filled, half of it on average.
    pub(super) fn need(&self) -> SpaceNeed {
        let inodes = self.entries();
        SpaceNeed {
            bytes: self.bytes.saturating_add(inodes.saturating_mul(2048)),
            inodes,
        }
    }

    fn entries(&self) -> u64 {
        let totals = self.totals();
        totals.files + totals.links + totals.directories
    }
}

/// Looks at every entry of the tree of `revision`, and returns the plan.
pub(super) fn plan(
    objects: &mut dyn Objects,
    revision: ObjectId,
    budget: &Budget,
    deadline: Deadline,
) -> Result<Plan, CheckoutError> {
    let mut planner = Planner {
        objects,
        budget,
        deadline,
        plan: Plan::default(),
        known: BTreeMap::new(),
        path_bytes: 0,
    };
    let root = within::tree_of(planner.objects, revision, Path::new(""))?;
    let top = within::subtree(planner.objects, root, &budget.subdirectory)?;
    planner.plan.attributes_above = top.attributes_above;
    let mut level = vec![Directory {
        path: PathBuf::new(),
        tree: top.tree,
        depth: 0,
    }];
    while !level.is_empty() {
        let mut next = Vec::new();
        for batch in level.chunks(BATCH) {
            deadline.check()?;
            planner.read_trees(batch)?;
            for directory in batch {
                planner.directory(directory, &mut next)?;
            }
        }
        level = next;
    }
    planner.measure()?;
    planner.read_links()?;
    Ok(planner.plan)
}

/// A directory to look at: its path, its tree, and the number of directories above its entries.
struct Directory {
    path: PathBuf,
    tree: ObjectId,
    depth: usize,
}

struct Planner<'a> {
    objects: &'a mut dyn Objects,
    budget: &'a Budget,
    deadline: Deadline,
    plan: Plan,
    known: BTreeMap<ObjectId, Rc<Vec<Entry>>>,
    /// The length of all paths together.
    path_bytes: usize,
}

impl Planner<'_> {
    /// Reads the trees of these directories that are not known yet. A tree that is made to explode names the
    /// same few trees again and again.
    fn read_trees(&mut self, directories: &[Directory]) -> Result<(), CheckoutError> {
        let mut missing: HashMap<ObjectId, &Path> = HashMap::new();
        for directory in directories {
            if !self.known.contains_key(&directory.tree) {
                missing.entry(directory.tree).or_insert(&directory.path);
            }
        }
        let ids: Vec<_> = missing.keys().copied().collect();
        for (id, raw) in ids.iter().zip(self.objects.read(Kind::Tree, &ids)?) {
            let path = missing.get(id).copied().unwrap_or(Path::new(""));
            let entries = tree(&raw).ok_or_else(|| malformed(path, *id, "tree"))?;
            self.known.insert(*id, Rc::new(entries));
        }
        Ok(())
    }

    fn directory(
        &mut self,
        directory: &Directory,
        next: &mut Vec<Directory>,
    ) -> Result<(), CheckoutError> {
        let entries = self.known.get(&directory.tree).map(Rc::clone);
        let entries = entries.unwrap_or_default();
        let mut names = HashSet::with_capacity(entries.len());
        for entry in entries.iter() {
            let path = directory.path.join(OsStr::from_bytes(&entry.name));
            let refuse = |why| refused(&path, why);
            name::check(&entry.name).map_err(refuse)?;
            if !self.budget.rules.leaves_out(path.as_os_str().as_bytes()) {
                self.count(&path).map_err(refuse)?;
                self.entry(&path, entry, directory.depth, next)?;
            }
            if !names.insert(&entry.name) {
                return Err(refused(&path, Refusal::Twice));
            }
        }
        Ok(())
    }

    fn count(&mut self, path: &Path) -> Result<(), Refusal> {
        if path.as_os_str().len() > LONGEST_PATH {
            return Err(Refusal::PathLength(LONGEST_PATH));
        }
        if self.plan.entries() >= self.budget.entries {
            return Err(Refusal::Entries(self.budget.entries));
        }
        // Directories with long names, one in the other, make much of little.
        self.path_bytes += path.as_os_str().len();
        if self.path_bytes > MOST_PATHS {
            return Err(Refusal::Paths(MOST_PATHS >> 20));
        }
        Ok(())
    }

    fn entry(
        &mut self,
        path: &Path,
        entry: &Entry,
        depth: usize,
        next: &mut Vec<Directory>,
    ) -> Result<(), CheckoutError> {
        let too_deep = depth >= self.budget.depth;
        // The kind decides; of the permissions only the owner's x counts, so a setuid bit is dropped.
        let tree = match entry.kind() {
            DIRECTORY | GITLINK if too_deep => {
                return Err(refused(path, Refusal::Depth(self.budget.depth)));
            }
            DIRECTORY => Some(entry.id),
            GITLINK if self.budget.rules.empty.contains(path) => None,
            GITLINK if self.budget.submodules.contains(path) => {
                Some(within::tree_of(self.objects, entry.id, path)?)
            }
            GITLINK => return Err(refused(path, Refusal::Submodule)),
            FILE => {
                self.plan.files.push(PlannedFile {
                    path: path.to_owned(),
                    id: entry.id,
                    size: 0,
                    executable: entry.mode & 0o100 != 0,
                });
                return Ok(());
            }
            LINK => {
                self.plan.links.push(PlannedLink {
                    path: path.to_owned(),
                    target: PathBuf::new(),
                    depth,
                    id: entry.id,
                });
                return Ok(());
            }
            _ => return Err(refused(path, Refusal::Mode(entry.mode))),
        };
        self.plan.directories.push(path.to_owned());
        next.extend(tree.map(|tree| Directory {
            path: path.to_owned(),
            tree,
            depth: depth + 1,
        }));
        Ok(())
    }

    /// Asks for the size of every file and link, so that no object above the limits is read.
    fn measure(&mut self) -> Result<(), CheckoutError> {
        let files = self.plan.files.iter().map(|file| file.id);
        let ids: Vec<_> = files
            .chain(self.plan.links.iter().map(|link| link.id))
            .collect();
        let sizes = self.objects.sizes(&ids)?;
        let mut sizes = sizes.into_iter();
        let limit = self.budget.file_bytes;
        for (file, size) in self.plan.files.iter_mut().zip(sizes.by_ref()) {
            if size > limit {
                return Err(refused(&file.path, Refusal::FileSize { size, limit }));
            }
            file.size = size;
            self.plan.bytes = self.plan.bytes.saturating_add(size);
            if self.plan.bytes > self.budget.bytes {
                return Err(refused(&file.path, Refusal::Bytes(self.budget.bytes)));
            }
        }
        for (link, size) in self.plan.links.iter().zip(sizes) {
            if size > link::LONGEST {
                let target = format!("a target of more than {} bytes", link::LONGEST);
                return Err(refused(&link.path, Refusal::Link { target }));
            }
        }
        Ok(())
    }

    fn read_links(&mut self) -> Result<(), CheckoutError> {
        let deadline = self.deadline;
        for batch in self.plan.links.chunks_mut(BATCH) {
            deadline.check()?;
            let ids: Vec<_> = batch.iter().map(|link| link.id).collect();
            for (link, target) in batch.iter_mut().zip(self.objects.read(Kind::Blob, &ids)?) {
                let free = self
                    .budget
                    .rules
                    .may_leave(link.path.as_os_str().as_bytes());
                let checked = if free {
                    link::check_free(&target)
                } else {
                    link::check(&target, link.depth)
                };
                checked.map_err(|why| refused(&link.path, why))?;
                link.target = OsStr::from_bytes(&target).into();
            }
        }
        Ok(())
    }
}
