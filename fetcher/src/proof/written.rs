//! A directory holds the files of a tree, and nothing else: every name, kind and byte of it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::gitlink;
use super::object::{Id, Kind};
use super::tree::{DIRECTORY, Entry, FILE, GITLINK, LINK, tree};
use crate::checkout::{Refusal, link, name};
use crate::config::tree::TreeRules;

/// Most threads that read files back.
const MOST_THREADS: usize = 4;

/// What is wrong with a commit that cannot be read.
const NO_COMMIT: &str = "its commit is none as git writes them";

/// Files a thread takes at a time.
const BATCH: usize = 32;

/// The directories of a tree with what is in them, each proven by its name.
#[derive(Debug)]
pub struct Tree(Vec<(PathBuf, Rc<Vec<Entry>>)>);

/// What was written is not what the tree names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differs {
    /// Where, below the directory; fit for a terminal.
    pub path: String,
    /// How.
    pub how: String,
}

/// What is wanted of a tree.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Where a submodule may stand.
    pub submodules: &'a BTreeSet<PathBuf>,
    /// What is an exception.
    pub rules: &'a TreeRules,
    /// Most entries.
    pub most: u64,
}

impl Tree {
    /// Every directory with its entries, outer ones first.
    pub fn directories(&self) -> impl Iterator<Item = (&PathBuf, &[Entry])> {
        self.0
            .iter()
            .map(|(path, entries)| (path, entries.as_slice()))
    }
}

/// The whole tree of `revision`, with the trees of the submodules that are wanted. `get` gives an
/// object's bytes, proven by its name.
///
/// # Errors
/// What `get` says; `bad` makes an error of a path and what is wrong there.
pub fn gather<E>(
    revision: Id,
    wanted: &Wanted<'_>,
    get: &mut dyn FnMut(Id, Kind) -> Result<Vec<u8>, E>,
    bad: impl Fn(Differs) -> E,
) -> Result<Tree, E> {
    let root = gitlink::tree_of(revision, get)?;
    let root = root.ok_or_else(|| bad(differs(Path::new(""), NO_COMMIT)))?;
    from_tree(root, wanted, get, bad)
}

fn from_tree<E>(
    root: Id,
    wanted: &Wanted<'_>,
    get: &mut dyn FnMut(Id, Kind) -> Result<Vec<u8>, E>,
    bad: impl Fn(Differs) -> E,
) -> Result<Tree, E> {
    let mut known: BTreeMap<Id, Rc<Vec<Entry>>> = BTreeMap::new();
    let mut all = Vec::new();
    let mut count = 0;
    let mut left = vec![(PathBuf::new(), root)];
    while let Some((path, id)) = left.pop() {
        let entries = match known.get(&id) {
            Some(entries) => Rc::clone(entries),
            None => {
                let raw = get(id, Kind::Tree)?;
                let entries = tree(&raw).ok_or_else(|| bad(differs(&path, "it is no tree")))?;
                Rc::clone(known.entry(id).or_insert(Rc::new(entries)))
            }
        };
        for entry in entries.iter() {
            let path = path.join(OsStr::from_bytes(&entry.name));
            // The refusals of the checkout, which the one who did it may have left out.
            name::check(&entry.name).map_err(|why| bad(differs(&path, why)))?;
            if wanted.rules.leaves_out(path.as_os_str().as_bytes()) {
                continue;
            }
            count += 1;
            if count > wanted.most {
                return Err(bad(differs(&path, Refusal::Entries(wanted.most))));
            }
            match entry.kind() {
                DIRECTORY => left.push((path, entry.id)),
                GITLINK if wanted.rules.empty.contains(&path) => {}
                GITLINK if wanted.submodules.contains(&path) => {
                    let tree = gitlink::tree_of(entry.id, get)?;
                    let tree = tree.ok_or_else(|| bad(differs(&path, NO_COMMIT)))?;
                    left.push((path, tree));
                }
                GITLINK => {
                    return Err(bad(differs(&path, Refusal::Submodule)));
                }
                _ => {}
            }
        }
        all.push((path, entries));
    }
    Ok(Tree(all))
}

/// Compares the directory `at` with `tree`, as the `rules` have it. Nobody may be writing to it any more.
///
/// # Errors
/// [`Differs`] with the first path at which it does.
pub fn check(at: &Path, tree: &Tree, rules: &TreeRules) -> Result<(), Differs> {
    let mut files = Vec::new();
    for (path, entries) in &tree.0 {
        let directory = at.join(path);
        let mut names = HashSet::with_capacity(entries.len());
        let listed = fs::read_dir(&directory).map_err(|e| differs(path, e))?;
        for found in listed {
            names.insert(found.map_err(|e| differs(path, e))?.file_name());
        }
        for entry in entries.iter() {
            let below = path.join(OsStr::from_bytes(&entry.name));
            if rules.leaves_out(below.as_os_str().as_bytes()) {
                continue;
            }
            names.remove(&OsString::from_vec(entry.name.clone()));
            let depth = path.components().count();
            let free = rules.may_leave(below.as_os_str().as_bytes());
            if one(&at.join(&below), entry, depth, free).map_err(|how| differs(&below, how))? {
                files.push((below, entry));
            } else if rules.empty.contains(&below) && entry.kind() == GITLINK {
                let more = fs::read_dir(at.join(&below))
                    .map_err(|e| differs(&below, e))?
                    .next();
                if more.is_some() {
                    return Err(differs(&below, "it is to stay empty"));
                }
            }
        }
        if let Some(name) = names.into_iter().next() {
            return Err(differs(
                &path.join(name),
                "the commit has nothing of that name",
            ));
        }
    }
    contents(at, &files)
}

/// Looks at one name; whether it is a file, whose content is still to be read. A link that is `free` may
/// lead anywhere.
fn one(path: &Path, entry: &Entry, depth: usize, free: bool) -> Result<bool, String> {
    let found = fs::symlink_metadata(path).map_err(|e| e.to_string())?;
    let mode = found.mode();
    match entry.kind() {
        DIRECTORY | GITLINK if found.is_dir() && mode & 0o5000 == 0 => Ok(false),
        FILE if found.is_file() => {
            if found.nlink() != 1 {
                return Err("it has a second name elsewhere".to_owned());
            }
            if mode & 0o7000 != 0 || (mode & 0o100 != 0) != (entry.mode & 0o100 != 0) {
                return Err(format!("its mode is {:04o}", mode & 0o7777));
            }
            Ok(true)
        }
        LINK if found.is_symlink() => {
            let target = fs::read_link(path).map_err(|e| e.to_string())?;
            let target = target.as_os_str().as_bytes();
            if !free {
                link::check(target, depth).map_err(|why| why.to_string())?;
            }
            if !entry.id.names(Kind::Blob, target) {
                return Err("it leads elsewhere".to_owned());
            }
            Ok(false)
        }
        _ => Err("it is of another kind".to_owned()),
    }
}

fn contents(at: &Path, files: &[(PathBuf, &Entry)]) -> Result<(), Differs> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), Differs> {
        loop {
            let from = next.fetch_add(BATCH, Ordering::Relaxed);
            let Some(batch) = files.get(from..).filter(|rest| !rest.is_empty()) else {
                return Ok(());
            };
            for (path, entry) in batch.iter().take(BATCH) {
                let same = content(&at.join(path), entry.id).map_err(|e| differs(path, e))?;
                if !same {
                    return Err(differs(path, "its content is another"));
                }
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(MOST_THREADS).min(files.len() / BATCH + 1);
    thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        all.into_iter().try_for_each(|one| {
            one.join()
                .unwrap_or_else(|_| Err(differs(Path::new(""), "it could not be looked at")))
        })
    })
}

fn content(path: &Path, id: Id) -> io::Result<bool> {
    let open = File::options()
        .read(true)
        .custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits())
        .open(path)?;
    let length = open.metadata()?.len();
    Ok(Id::of_reader(Kind::Blob, length, open)? == Some(id))
}

fn differs(path: &Path, how: impl std::fmt::Display) -> Differs {
    Differs {
        path: name::shown(path.as_os_str().as_bytes()),
        how: how.to_string(),
    }
}

#[cfg(test)]
mod tests;
