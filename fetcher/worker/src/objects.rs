//! Reads objects by their ids and sends them, with several threads: a large tree is inflated on up to four processors
//! while the parent writes files.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use git2::{ObjectType, Odb, Oid, Repository};
use pp_objects::Kind;
use pp_objects::protocol::{MOST_BYTES, PIECE, Piece};

use crate::mirror::{Mirror, MirrorError, missing};
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
    let odb = mirror.odb()?;
    let mut sizes = Vec::with_capacity(wanted.len() * 8);
    for id in wanted {
        let header = odb.read_header(*id);
        let (size, kind) = header.map_err(|error| missing(mirror.path(), *id, &error))?;
        if kind != ObjectType::Blob {
            let error = git2::Error::from_str("the object is not the content of a file");
            return Err(missing(mirror.path(), *id, &error).into());
        }
        sizes.extend((size as u64).to_le_bytes());
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
    let path = mirror.path();
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<Refusal>> = Mutex::new(None);
    let work = |odb: &Odb<'_>| {
        let sent = Sender { path, kind, to }.send_batches(odb, wanted, &next);
        if let Err(refusal) = sent {
            next.store(wanted.len(), Ordering::Relaxed);
            let mut first = failed.lock().unwrap_or_else(|e| e.into_inner());
            first.get_or_insert(refusal);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(MOST_THREADS).min(wanted.len() / BATCH + 1);
    let odb = mirror.odb()?;
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // Each thread opens the repository for itself: a libgit2 repository must not be shared.
            scope.spawn(|| {
                let Ok(repository) = Repository::open_bare(path) else {
                    return;
                };
                if let Ok(odb) = repository.odb() {
                    work(&odb);
                }
            });
        }
        work(&odb);
    });
    failed
        .into_inner()
        .unwrap_or_else(|e| e.into_inner())
        .map_or(Ok(()), Err)
}

struct Sender<'a> {
    path: &'a Path,
    kind: Kind,
    to: &'a Output,
}

impl Sender<'_> {
    /// Takes batches of objects and sends them, until no batch is left.
    fn send_batches(
        &self,
        odb: &Odb<'_>,
        wanted: &[Oid],
        next: &AtomicUsize,
    ) -> Result<(), Refusal> {
        let mut frames = Vec::new();
        loop {
            let from = next.fetch_add(BATCH, Ordering::Relaxed);
            let batch = wanted.iter().enumerate().skip(from).take(BATCH);
            if batch.len() == 0 {
                return Ok(());
            }
            for (index, id) in batch {
                self.send_one(odb, index, *id, &mut frames)?;
            }
            self.flush(&mut frames, 0)?;
        }
    }

    fn send_one(
        &self,
        odb: &Odb<'_>,
        index: usize,
        id: Oid,
        frames: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let object = self.read(odb, id)?;
        let mut pieces = object.data().chunks(PIECE).peekable();
        loop {
            let bytes = pieces.next().unwrap_or_default();
            let last = pieces.peek().is_none();
            Piece { index, last, bytes }.write(frames);
            self.flush(frames, GATHERED)?;
            if last {
                return Ok(());
            }
        }
    }

    fn read<'o>(&self, odb: &'o Odb<'_>, id: Oid) -> Result<git2::OdbObject<'o>, MirrorError> {
        let (wanted, most) = match self.kind {
            Kind::Blob => (ObjectType::Blob, MOST_FILE),
            Kind::Tree => (ObjectType::Tree, MOST_BYTES),
            Kind::Commit => (ObjectType::Commit, MOST_BYTES),
            Kind::Tag => (ObjectType::Tag, MOST_BYTES),
        };
        let read = || {
            let (length, _) = odb.read_header(id)?;
            if length > most {
                return Err(git2::Error::from_str("the object is too long"));
            }
            let object = odb.read(id)?;
            if object.kind() != wanted {
                return Err(git2::Error::from_str("the object is of another kind"));
            }
            Ok(object)
        };
        read().map_err(|error| missing(self.path, id, &error))
    }

    fn flush(&self, frames: &mut Vec<u8>, unless_fewer: usize) -> Result<(), Refusal> {
        if !frames.is_empty() && frames.len() >= unless_fewer {
            self.to.send(frames)?;
            frames.clear();
        }
        Ok(())
    }
}
