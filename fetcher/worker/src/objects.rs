//! Reads objects by their ids and sends them, with several threads: a large tree is inflated on up to four processors
//! while the parent writes files.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use git2::Oid;
use pp_objects::Kind;
use pp_objects::protocol::{MOST_BYTES, PIECE, Piece};

use crate::mirror::{Mirror, PackReader};
use crate::output::{Output, Refusal};

/// The most threads: more threads would only wait for the same pipe.
const MOST_THREADS: usize = 4;

/// The number of objects that a thread takes at a time: neighbours in the tree are often neighbours in the pack.
const BATCH: usize = 32;

/// Frames are written to the pipe as soon as they have this many bytes.
const GATHERED: usize = 64 * 1024;

/// Size limit of a file that is sent, in bytes. Each thread holds one whole object in memory.
const MOST_FILE: usize = 512 << 20;

/// Returns the sizes of blobs: eight bytes each, little-endian. No object is inflated.
pub(crate) fn sizes(mirror: &Mirror, wanted: &[Oid]) -> Result<Vec<u8>, Refusal> {
    let packs = mirror.packs()?;
    let mut reader = packs.reader();
    let mut sizes = Vec::with_capacity(wanted.len() * 8);
    for id in wanted {
        sizes.extend(reader.size(*id, Kind::Blob)?.to_le_bytes());
    }
    Ok(sizes)
}

/// Sends the content of each object in `wanted`.
pub(crate) fn send(
    mirror: &Mirror,
    kind: Kind,
    wanted: &[Oid],
    to: &Output,
) -> Result<(), Refusal> {
    let packs = &*mirror.packs()?;
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<Refusal>> = Mutex::new(None);
    let work = || {
        let reader = packs.reader();
        if let Err(refusal) = (Sender { kind, to, reader }).send_batches(wanted, &next) {
            next.store(wanted.len(), Ordering::Relaxed);
            let mut first = failed.lock().unwrap_or_else(|e| e.into_inner());
            first.get_or_insert(refusal);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(MOST_THREADS).min(wanted.len() / BATCH + 1);
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    failed
        .into_inner()
        .unwrap_or_else(|e| e.into_inner())
        .map_or(Ok(()), Err)
}

struct Sender<'a> {
    kind: Kind,
    to: &'a Output,
    reader: PackReader<'a>,
}

impl Sender<'_> {
    /// Takes batches of objects and sends them, until no batch is left.
    fn send_batches(&mut self, wanted: &[Oid], next: &AtomicUsize) -> Result<(), Refusal> {
        let mut frames = Vec::new();
        loop {
            let from = next.fetch_add(BATCH, Ordering::Relaxed);
            let batch = wanted.iter().enumerate().skip(from).take(BATCH);
            if batch.len() == 0 {
                return Ok(());
            }
            for (index, id) in batch {
                self.send_one(index, *id, &mut frames)?;
            }
            flush(self.to, &mut frames, 0)?;
        }
    }

    fn send_one(&mut self, index: usize, id: Oid, frames: &mut Vec<u8>) -> Result<(), Refusal> {
        let most = match self.kind {
            Kind::Blob => MOST_FILE,
            Kind::Tree | Kind::Commit | Kind::Tag => MOST_BYTES,
        };
        let object = self.reader.read(id, self.kind, most)?;
        let mut pieces = object.chunks(PIECE).peekable();
        loop {
            let bytes = pieces.next().unwrap_or_default();
            let last = pieces.peek().is_none();
            Piece { index, last, bytes }.write(frames);
            flush(self.to, frames, GATHERED)?;
            if last {
                return Ok(());
            }
        }
    }
}

fn flush(to: &Output, frames: &mut Vec<u8>, unless_fewer: usize) -> Result<(), Refusal> {
    if !frames.is_empty() && frames.len() >= unless_fewer {
        to.send(frames)?;
        frames.clear();
    }
    Ok(())
}
