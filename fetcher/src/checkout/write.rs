//! Writes the planned tree: directories first, then files, links last. Until the last file is
//! written there is no link in the tree that a path could lead through, and every file is created anew
//! (`O_EXCL`); no existing file is opened, and no hard link is made.
//!
//! Files are written in two rounds. In the first, several threads copy the files that the live release provably
//! has. The others come from the worker in the second round: this thread takes the pieces off the worker's pipe,
//! several other threads hash and write them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::fcntl::AtFlags;
use nix::sys::stat::{FchmodatFlags, Mode, fchmod, fchmodat, fstat, fstatat, mkdirat};
use nix::unistd::symlinkat;
use pp_objects::ObjectId;

use super::error::{CheckoutError, io_at};
use super::file::{Incoming, NewFile, Target};
use super::live::{Copier, Live};
use super::plan::{Plan, PlannedFile};
use crate::util::sync::lock;
use crate::worker::{ObjectPiece, Objects};

/// The most threads that hash and write files: more threads would only wait for the same disk.
const MOST_THREADS: usize = 4;

/// The number of files that a thread takes at a time.
const BATCH: usize = 32;

/// Pieces are sent to a writing thread in batches: as soon as they have this many bytes, or are this many.
const GATHERED: usize = 256 * 1024;
const MOST_GATHERED: usize = 64;

/// The most such batches that wait for a thread: with their size, the most memory that a checkout holds.
const AHEAD: usize = 4;

/// The shortest time between two reports of progress.
const PAUSE: Duration = Duration::from_millis(100);

/// The progress of a checkout, for a progress bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Files written.
    pub files: u64,
    /// Files to write.
    pub of: u64,
}

/// Writes the whole plan. Returns the number of files whose content came from the live release.
pub(super) fn write(
    objects: &mut dyn Objects,
    live: Option<&Live>,
    plan: &Plan,
    target: Target<'_>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<u64, CheckoutError> {
    let mode = close(target)?;
    make_directories(plan, target, mode)?;
    let meter = ProgressMeter {
        of: plan.files.len() as u64,
        told: Mutex::new(MeterState {
            files: 0,
            last: None,
            tick: progress,
        }),
    };
    let missing = match live {
        Some(live) => copy_from_live(live, plan, target, &meter)?,
        None => (0..plan.files.len()).collect(),
    };
    write_objects(objects, &missing, plan, target, &meter)?;
    for link in &plan.links {
        let made = symlinkat(&link.target, target.root, &link.path);
        made.map_err(|e| io_at("make the link", &target.into.join(&link.path))(e.into()))?;
    }
    let opened = fchmod(target.root, mode);
    opened.map_err(|e| io_at("open to the group", target.into)(e.into()))?;
    Ok((plan.files.len() - missing.len()) as u64)
}

/// Closes the release's directory to everybody but its owner; returns the mode that every directory of the release
/// is to have in the end. The kernel passes the setgid bit of a directory on to new directories in it; chmod would
/// remove the bit.
fn close(target: Target<'_>) -> Result<Mode, CheckoutError> {
    let Target { root, into, .. } = target;
    let made = fstat(root).map_err(|e| io_at("look at", into)(e.into()))?;
    let inherited = Mode::from_bits_truncate(made.st_mode) & Mode::S_ISGID;
    let closed = Mode::S_IRWXU | inherited;
    fchmod(root, closed).map_err(|e| io_at("close to the group", into)(e.into()))?;
    Ok(Mode::from_bits_truncate(0o775) | inherited)
}

fn make_directories(plan: &Plan, target: Target<'_>, mode: Mode) -> Result<(), CheckoutError> {
    let Target { root, into, .. } = target;
    for directory in &plan.directories {
        let failed = |e: nix::Error| io_at("make the directory", &into.join(directory))(e.into());
        mkdirat(root, directory, mode & !Mode::S_ISGID).map_err(failed)?;
        let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
        let made = fstatat(root, directory, flags).map_err(failed)?;
        if Mode::from_bits_truncate(made.st_mode) != mode {
            fchmodat(root, directory, mode, FchmodatFlags::FollowSymlink).map_err(failed)?;
        }
    }
    Ok(())
}

/// Counts written files, and reports the progress at intervals.
struct ProgressMeter<'a> {
    of: u64,
    told: Mutex<MeterState<'a>>,
}

struct MeterState<'a> {
    files: u64,
    last: Option<Instant>,
    tick: &'a mut (dyn FnMut(Progress) + Send),
}

impl ProgressMeter<'_> {
    fn count(&self) {
        let mut told = lock(&self.told);
        told.files += 1;
        if told.files < self.of && told.last.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        told.last = Some(Instant::now());
        let (files, of) = (told.files, self.of);
        (told.tick)(Progress { files, of });
    }
}

/// The first error of several threads.
#[derive(Default)]
struct FirstError {
    stop: AtomicBool,
    first: Mutex<Option<CheckoutError>>,
}

impl FirstError {
    fn report(&self, error: CheckoutError) {
        self.stop.store(true, Ordering::Relaxed);
        let mut first = lock(&self.first);
        first.get_or_insert(error);
    }

    fn is_there(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn check(self) -> Result<(), CheckoutError> {
        let first = self.first.into_inner();
        first
            .unwrap_or_else(PoisonError::into_inner)
            .map_or(Ok(()), Err)
    }
}

fn threads(files: usize) -> usize {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    threads.min(MOST_THREADS).min(files / BATCH + 1)
}

/// Writes the files that the live release provably has, and returns the places in the plan of the other files.
fn copy_from_live(
    live: &Live,
    plan: &Plan,
    target: Target<'_>,
    meter: &ProgressMeter<'_>,
) -> Result<Vec<usize>, CheckoutError> {
    let next = AtomicUsize::new(0);
    let trouble = FirstError::default();
    let missing = Mutex::new(Vec::new());
    let copy_batches = || -> Result<(), CheckoutError> {
        let mut copier = Copier::new(live);
        loop {
            let from = next.fetch_add(BATCH, Ordering::Relaxed);
            let batch = plan.files.iter().enumerate().skip(from).take(BATCH);
            if batch.len() == 0 || trouble.is_there() {
                return Ok(());
            }
            target.deadline.check()?;
            for (place, planned) in batch {
                if copy_one(&mut copier, planned, target)? {
                    meter.count();
                } else {
                    let mut missing = lock(&missing);
                    missing.push(place);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads(plan.files.len()) {
            scope.spawn(|| copy_batches().unwrap_or_else(|error| trouble.report(error)));
        }
    });
    trouble.check()?;
    let mut missing = missing.into_inner().unwrap_or_else(PoisonError::into_inner);
    // In the order of the tree: neighbours in the tree are often neighbours in the pack.
    missing.sort_unstable();
    Ok(missing)
}

/// Writes one file from the live release; returns false if the release does not have the planned content.
fn copy_one(
    copier: &mut Copier<'_>,
    planned: &PlannedFile,
    target: Target<'_>,
) -> Result<bool, CheckoutError> {
    let Some(candidate) = copier.candidate(planned) else {
        return Ok(false);
    };
    let mut new = NewFile::create(planned, target)?;
    let copied = copier.copy(candidate, planned, &mut new.file);
    let copied = copied.map_err(|e| io_at("write", &target.into.join(&planned.path))(e))?;
    match copied {
        // The live release may hold a Git LFS pointer that was put there in place of the large file.
        Some(content) => {
            new.check_pointer(content)?;
            new.finish()?;
            Ok(true)
        }
        None => {
            new.remove()?;
            Ok(false)
        }
    }
}

/// The sending end of a thread that hashes and writes. The thread that reads the worker's pipe gives pieces to
/// a `Writer`, which sends them on in batches, as most pieces are small.
struct Writer {
    to: SyncSender<Vec<ObjectPiece>>,
    pieces: Vec<ObjectPiece>,
    bytes: usize,
}

impl Writer {
    fn new(to: SyncSender<Vec<ObjectPiece>>) -> Self {
        Self {
            to,
            pieces: Vec::new(),
            bytes: 0,
        }
    }

    /// Adds a piece to the batch, and sends a full batch. Returns whether the writing thread still takes pieces.
    fn give(&mut self, piece: ObjectPiece) -> bool {
        self.bytes += piece.bytes.len();
        self.pieces.push(piece);
        if self.bytes < GATHERED && self.pieces.len() < MOST_GATHERED {
            return true;
        }
        self.bytes = 0;
        self.to.send(std::mem::take(&mut self.pieces)).is_ok()
    }

    fn flush(&mut self) {
        // A writing thread that has ended has reported its error already.
        let _ = self.to.send(std::mem::take(&mut self.pieces));
    }
}

/// Writes the files at these places of the plan from the objects that the worker hands over.
fn write_objects(
    objects: &mut dyn Objects,
    places: &[usize],
    plan: &Plan,
    target: Target<'_>,
    meter: &ProgressMeter<'_>,
) -> Result<(), CheckoutError> {
    let wanted: Vec<&PlannedFile> = places.iter().filter_map(|n| plan.files.get(*n)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let ids: Vec<ObjectId> = wanted.iter().map(|file| file.id).collect();
    let trouble = FirstError::default();
    let handed_over = std::thread::scope(|scope| {
        let mut writers: Vec<Writer> = Vec::new();
        for _ in 0..threads(wanted.len()) {
            let (to, from) = sync_channel::<Vec<ObjectPiece>>(AHEAD);
            writers.push(Writer::new(to));
            let (wanted, trouble) = (&wanted, &trouble);
            scope.spawn(move || {
                let mut incoming = Incoming::new(wanted, target);
                for piece in from.into_iter().flatten() {
                    // After an error, pieces are still taken off the channel, so that nobody waits.
                    match incoming.take(piece) {
                        _ if trouble.is_there() => {}
                        Ok(true) => meter.count(),
                        Ok(false) => {}
                        Err(error) => trouble.report(error),
                    }
                }
                if let Err(error) = incoming.check_whole() {
                    trouble.report(error);
                }
            });
        }
        let handed_over = objects.stream(&ids, &mut |piece| {
            if let Err(error) = target.deadline.check() {
                trouble.report(error);
            }
            let place = piece.index % writers.len();
            let taken = writers.get_mut(place).is_some_and(|w| w.give(piece));
            taken && !trouble.is_there()
        });
        writers.iter_mut().for_each(Writer::flush);
        handed_over
    });
    trouble.check()?;
    Ok(handed_over?)
}
