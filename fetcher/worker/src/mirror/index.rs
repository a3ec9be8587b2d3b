//! Indexes a pack as it comes: every object is inflated, hashed and named, in Rust and with all processors.

use std::cell::{Cell, RefCell};
use std::fs;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use git2::Oid;
use gix_hash::oid;
use gix_object::{Data, Find};
use gix_pack::Bundle;
use gix_pack::bundle::write::Options;
use prodash::messages::MessageLevel;
use prodash::progress::{Id, Step, StepShared, UNKNOWN};
use prodash::{Count, NestedProgress, Progress, Unit};

use super::packs::{MOST_MEMORY, PackReader};
use super::sweep;

/// How much of a pack is read at once, in bytes.
const BUFFER: usize = 64 * 1024;

/// Where a pack's header has the number of its objects, four bytes big-endian (gitformat-pack(5)).
const TOTAL_AT: usize = 8;

/// Length of a pack's header in bytes.
const HEADER: usize = 12;

/// The progress that counts the objects read so far: [`gix_pack::index::write::ProgressId::IndexObjects`].
const READ_OBJECTS: Id = *b"IWIO";

/// How much of a pack has been received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// Bytes of the pack so far.
    pub(crate) bytes: u64,
    /// Objects in the whole pack; 0 until the pack's header has been read.
    pub(crate) total: usize,
    /// Objects indexed so far.
    pub(crate) indexed: usize,
}

/// A source of a pack, piece by piece.
pub(crate) trait Pack {
    /// Returns the next piece; `None` at the end of the pack.
    ///
    /// # Errors
    /// The pack broke off.
    fn next(&mut self) -> std::io::Result<Option<&[u8]>>;
}

/// Writes `pack` and its index into `directory`; a delta may build on an object of `bases`. Returns the pack's name,
/// `None` for a pack without objects, and what was received.
///
/// # Errors
/// Why the pack is refused.
pub(super) fn index(
    pack: &mut dyn Pack,
    directory: &Path,
    bases: Option<PackReader<'_>>,
    progress: &mut dyn FnMut(Received),
) -> Result<(Option<String>, Received), String> {
    let objects = StepShared::default();
    let mut stream = Stream {
        pack,
        rest: Vec::new(),
        at: 0,
        head: Vec::new(),
        seen: Received::default(),
        broken: Cell::new(false),
        objects: Arc::clone(&objects),
        progress,
    };
    let options = Options {
        alloc_limit_bytes: Some(MOST_MEMORY),
        ..Options::default()
    };
    let written = Bundle::write_to_directory(
        &mut BufReader::with_capacity(BUFFER, &mut stream),
        Some(directory),
        &mut Steps::new(objects),
        &AtomicBool::new(false),
        bases.map(RefCell::new).map(Bases),
        gix_hash::Kind::Sha1,
        options,
    );
    if stream.broken.get() {
        return Err("it broke off".to_owned());
    }
    let outcome = written.map_err(|error| error.to_string())?;
    let more = stream.goes_on();
    if let Some(path) = &outcome.data_path {
        // What follows the pack in the same buffer is in the file as well, which then ends in something else than the hash
        // of what is before.
        let end = sweep::tail(path, outcome.index.data_hash.as_bytes().len());
        let whole = end.is_ok_and(|end| end == outcome.index.data_hash.as_bytes());
        if more || !whole {
            return Err("something follows the end of the pack".to_owned());
        }
    }
    if let Some(keep) = outcome.keep_path {
        // A mark for other programs that would tidy the directory meanwhile.
        fs::remove_file(keep).map_err(|error| error.to_string())?;
    }
    let seen = Received {
        indexed: stream.seen.total,
        ..stream.seen
    };
    let name = outcome
        .data_path
        .map(|_| outcome.index.data_hash.to_string());
    Ok((name, seen))
}

/// The bytes of a pack as they come, counted.
struct Stream<'a> {
    pack: &'a mut dyn Pack,
    /// The last piece, of which [`Self::at`] bytes were read.
    rest: Vec<u8>,
    at: usize,
    /// The beginning of the pack, until its header is complete.
    head: Vec<u8>,
    seen: Received,
    broken: Cell<bool>,
    objects: StepShared,
    progress: &'a mut dyn FnMut(Received),
}

impl Stream<'_> {
    /// Gets the next piece; `false` at the end of the pack.
    fn advance(&mut self) -> io::Result<bool> {
        let piece = match self.pack.next() {
            Ok(Some(piece)) => piece,
            Ok(None) => return Ok(false),
            Err(error) => {
                self.broken.set(true);
                return Err(error);
            }
        };
        self.rest.clear();
        self.rest.extend_from_slice(piece);
        self.at = 0;
        self.seen.bytes += self.rest.len() as u64;
        if self.head.len() < HEADER {
            let missing = HEADER - self.head.len();
            self.head.extend(self.rest.iter().take(missing));
            if let Some(&[a, b, c, d]) = self.head.get(TOTAL_AT..HEADER) {
                self.seen.total = u32::from_be_bytes([a, b, c, d]) as usize;
            }
        }
        self.seen.indexed = self.objects.load(Ordering::Relaxed).min(self.seen.total);
        (self.progress)(self.seen);
        Ok(true)
    }

    /// Reads to the end; returns whether there was anything.
    fn goes_on(&mut self) -> bool {
        let mut more = self.at < self.rest.len();
        while let Ok(true) = self.advance() {
            more = true;
        }
        more
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.rest.len() {
            if !self.advance()? {
                return Ok(0);
            }
        }
        let mut left = self.rest.get(self.at..).unwrap_or_default();
        let count = left.read(buffer)?;
        self.at += count;
        Ok(count)
    }
}

/// The objects that a delta of the pack may build on.
struct Bases<'a>(RefCell<PackReader<'a>>);

impl Find for Bases<'_> {
    fn try_find<'a>(
        &self,
        id: &oid,
        buffer: &'a mut Vec<u8>,
    ) -> gix_error::Result<Option<Data<'a>>> {
        let mut reader = self.0.borrow_mut();
        let found = Oid::from_bytes(id.as_bytes()).ok();
        let found = found.and_then(|id| reader.read_any(id, MOST_MEMORY).ok());
        let Some((kind, object)) = found else {
            return Ok(None);
        };
        buffer.clear();
        buffer.extend_from_slice(object);
        Ok(Some(Data {
            kind,
            object_hash: gix_hash::Kind::Sha1,
            data: buffer,
        }))
    }
}

/// Counts the objects that were read; whatever else gix-pack counts is left out.
struct Steps {
    id: Id,
    own: StepShared,
    objects: StepShared,
}

impl Steps {
    fn new(objects: StepShared) -> Self {
        Self {
            id: UNKNOWN,
            own: Arc::new(AtomicUsize::new(0)),
            objects,
        }
    }
}

impl Count for Steps {
    fn set(&self, step: Step) {
        self.own.store(step, Ordering::Relaxed);
    }

    fn step(&self) -> Step {
        self.own.load(Ordering::Relaxed)
    }

    fn inc_by(&self, step: Step) {
        self.own.fetch_add(step, Ordering::Relaxed);
    }

    fn counter(&self) -> StepShared {
        Arc::clone(&self.own)
    }
}

impl Progress for Steps {
    fn init(&mut self, _: Option<Step>, _: Option<Unit>) {}

    fn set_name(&mut self, _: String) {}

    fn name(&self) -> Option<String> {
        None
    }

    fn id(&self) -> Id {
        self.id
    }

    fn message(&self, _: MessageLevel, _: String) {}
}

impl NestedProgress for Steps {
    type SubProgress = Self;

    fn add_child(&mut self, _: impl Into<String>) -> Self {
        Self::new(Arc::clone(&self.objects))
    }

    fn add_child_with_id(&mut self, _: impl Into<String>, id: Id) -> Self {
        let mut child = Self::new(Arc::clone(&self.objects));
        child.id = id;
        if id == READ_OBJECTS {
            child.own = Arc::clone(&self.objects);
        }
        child
    }
}
