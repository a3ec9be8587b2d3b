//! Writes a commit's tree as files into a directory, from objects that are proven by their hashes (rule 27).
//!
//! This is not libgit2's checkout, which makes setuid files, follows what it should refuse, and cannot be
//! limited. libgit2 runs in another process, the worker, which hands out objects by their ids ([`crate::worker`])
//! and sees no release. Here the whole tree is walked first (`plan`): names, kinds, sizes, depth, links,
//! attributes. Only then are files written (`write`): directories, then files by several threads, links last, so
//! that no path that is written to can lead through a link. A refusal names the path of the refused entry, and a
//! checkout that failed leaves no file behind.
//!
//! A file's content comes from the live release if the live release has provably the same content at the same
//! path (`live`), and from the worker otherwise. In both cases a new file is made, and its bytes are hashed on
//! their way to the disk: the written content is the content that the commit names, and no file is read back.
//!
//! # What is synced when
//! A checkout syncs the file system (`syncfs`) when the last link is written, and a large one meanwhile, after each
//! 64 MiB (`flush`), instead of each file by itself: for thousands of files that is a few journal commits instead
//! of thousands. The caller then writes `REVISION` with an fsync of its own, renames the directory and syncs the
//! parent ([`crate::deploy`]). After the build, before `current` is switched, the release's file system is
//! synced again, for the files that the build has written ([`Layout::sync`](crate::release::Layout::sync)); then the
//! link is renamed and its directory synced. The state and the history are fsynced each time they are
//! written, the mirror's packs and refs before they get their names.
//!
//! So after a power cut at any moment, `current` leads to a release whose files are all there. A power cut may
//! lose an attempt that had not switched, which the next poll undoes and makes again, and the last
//! lines of the build's log. The app has to sync the files that it writes, and a build the files that it writes
//! to other file systems (collected static files, say).

mod attributes;
mod deadline;
pub(crate) mod error;
mod file;
mod flush;
pub(crate) mod link;
mod live;
pub(crate) mod name;
mod plan;
mod refusal;
pub(crate) mod within;
mod write;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use pp_objects::ObjectId;

use crate::config::tree::TreeRules;
use crate::space;
use crate::worker::Objects;
use deadline::Deadline;
pub(crate) use error::CheckoutError;
use error::io_at;
use live::Live;
pub(crate) use write::Progress;

/// The limits for one tree, and the exceptions that the app's file makes.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    /// The most bytes of all files together.
    pub bytes: u64,
    /// The most bytes of one file; each writing thread holds one file in memory at a time.
    pub file_bytes: u64,
    /// The most files, links and directories together.
    pub entries: u64,
    /// The most directories above a file.
    pub depth: usize,
    /// The longest time for walking the tree, and again for writing it without the sync.
    pub time: Duration,
    /// The directory of the tree that is written instead of the whole tree; empty for the whole tree. Every other path
    /// here is relative to that directory.
    pub subdirectory: PathBuf,
    /// Paths at which a submodule may stand, its commit being in the mirror; any other submodule is refused.
    pub submodules: BTreeSet<PathBuf>,
    /// Which files are exceptions to the checks.
    pub rules: TreeRules,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            bytes: 4 << 30,
            file_bytes: 512 << 20,
            entries: 200_000,
            depth: 64,
            time: Duration::from_secs(300),
            subdirectory: PathBuf::new(),
            submodules: BTreeSet::new(),
            rules: TreeRules::default(),
        }
    }
}

/// Counts of what a checkout has written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CheckedOut {
    /// Regular files.
    pub files: u64,
    /// Symbolic links.
    pub links: u64,
    /// Directories, `into` itself not counted.
    pub directories: u64,
    /// Bytes in files.
    pub bytes: u64,
    /// Files whose content came from the live release.
    pub copied: u64,
}

/// A tree that was walked and accepted, of which nothing is written yet.
#[derive(Debug)]
pub(crate) struct Planned(plan::Plan);

/// Walks the tree of `revision`, and checks every entry. Nothing is written.
///
/// # Errors
/// [`CheckoutError`]: the tree is not accepted, or cannot be read.
pub(crate) fn plan(
    objects: &mut dyn Objects,
    revision: ObjectId,
    budget: &Budget,
) -> Result<Planned, CheckoutError> {
    let deadline = Deadline::after(budget.time);
    let plan = plan::plan(objects, revision, budget, deadline)?;
    attributes::check(&plan, budget, objects, deadline)?;
    Ok(Planned(plan))
}

/// Writes the tree of `revision` into the empty directory `into`: files 0664 or 0775, directories
/// 0775 with the setgid bit if `into` has it, whatever the umask. Until all is written, `into` is closed to
/// everybody but its owner: a member of the group could put a link in the place of a directory.
///
/// `planned` is the plan of that tree, if it was walked before with the same limits. `live` is the directory of a
/// release: files that it already has are copied from there. Its content is not trusted, and nothing that is wrong with
/// it is an error.
///
/// # Errors
/// [`CheckoutError`]; `into` is then removed with all that was written into it, unless `into` was not an empty
/// directory at the beginning.
pub(crate) fn check_out(
    objects: &mut dyn Objects,
    (revision, planned): (ObjectId, Option<Planned>),
    live: Option<&Path>,
    into: &Path,
    budget: &Budget,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<CheckedOut, CheckoutError> {
    let root = empty_directory(into)?;
    let live = live.and_then(Live::open);
    let planned = planned.map_or_else(|| plan(objects, revision, budget), Ok);
    let done = planned.and_then(|Planned(plan)| {
        space::check(into, plan.need())?;
        let deadline = Deadline::after(budget.time);
        let sync = || nix::unistd::syncfs(&root);
        let failed = |error: nix::Error| io_at("sync the file system of", into)(error.into());
        let copied = flush::sync_along(plan.totals().bytes, sync, failed, |written| {
            let target = file::Target {
                root: &root,
                into,
                budget,
                deadline,
                written,
            };
            write::write(objects, live.as_ref(), &plan, target, progress)
        })?;
        Ok(CheckedOut {
            copied,
            ..plan.totals()
        })
    });
    if done.is_err() {
        // The caller never looks into `into`; a leftover would be swept with the other `.new-…`.
        let _ = fs::remove_dir_all(into);
    }
    done
}

/// Opens `into`, which must be empty, without following a link that stands in its place.
fn empty_directory(into: &Path) -> Result<File, CheckoutError> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = open(into, flags, Mode::empty());
    let root = File::from(opened.map_err(|e| io_at("open the directory", into)(e.into()))?);
    let mut entries = fs::read_dir(into).map_err(io_at("read", into))?;
    if entries.next().is_some() {
        return Err(CheckoutError::NotEmpty(into.to_owned()));
    }
    Ok(root)
}
