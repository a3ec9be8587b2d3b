//! The client of the worker. Every answer is taken for a hostile one: it is bounded, checked, or proven.

use std::path::Path;
use std::time::Duration;

use pp_objects::protocol::{self, Answer, Kind, MOST_BYTES, MOST_TEXT, Piece, Progress, Request};
use pp_objects::{Kind as ObjectKind, ObjectId};

use super::channel::{Channel, Task};
use super::error::WorkerError;
use super::objects::{ObjectPiece, Objects};
use crate::util::text;

/// The time for the worker to start, to contain itself and to open a mirror.
const OPENING: Task = task("opening the mirror", 60);

/// The time to look for an object in the mirror.
const LOOKING: Task = task("looking into the mirror", 120);

/// The time to compare two histories.
const COMPARING: Task = task("comparing two revisions", 120);

/// The time to hand over objects that are held in memory.
const READING: Task = task("reading an object", 120);

/// The time to hand over the files of a release, a slow disk included.
const WRITING: Task = task("writing the files", 900);

/// The time to pin the fetched object and to name its commit.
const KEEPING: Task = task("reading what came", 120);

/// The time to make one pack of many.
const TIDYING: Task = task("tidying the mirror", 900);

/// The most commits that are named to the server as already in the mirror.
const MOST_TIPS: usize = 1024;

/// The most bytes of objects that are held in memory at once: trees with 200,000 entries have fewer.
const MOST_HELD: usize = 64 << 20;

const fn task(doing: &'static str, seconds: u64) -> Task {
    Task {
        doing,
        time: Duration::from_secs(seconds),
    }
}

/// What the mirror already has of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tips {
    /// Commits that are in the mirror with their history.
    pub(crate) commits: Vec<ObjectId>,
    /// Commits at which the history of `commits` ends although they are not its beginning.
    pub(crate) boundary: Vec<ObjectId>,
}

/// What the worker says of a descent. Nothing of it is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chain {
    /// The commits from the younger one back to the older one; none if the older one is no ancestor.
    Told(Vec<ObjectId>),
    /// The older commit was not found, and the history that is here ends before its beginnings.
    Cut,
}

/// A worker that has answered that it is ready.
#[derive(Debug)]
pub(crate) struct Client {
    pub(super) channel: Channel,
    lacking: Option<String>,
}

impl Client {
    /// Starts `program` as the worker for the mirror at `mirror`, and waits until the worker is ready.
    ///
    /// # Errors
    /// [`WorkerError::Refused`] with [`FailureKind::Broken`](super::error::FailureKind::Broken) if the mirror is
    /// damaged.
    pub(crate) fn start(program: &Path, mirror: &Path) -> Result<Self, WorkerError> {
        let mut client = Self {
            channel: Channel::start(program, mirror, OPENING)?,
            lacking: None,
        };
        match client.answer(&mut |_| {})? {
            Answer::Ready { version, lacking } if version == protocol::VERSION => {
                client.lacking = lacking.map(|text| cleaned(&text));
                Ok(client)
            }
            Answer::Ready { version, .. } => Err(WorkerError::Version {
                theirs: cleaned(&version),
                ours: protocol::VERSION,
            }),
            other => Err(client.unexpected(&other)),
        }
    }

    /// Returns which parts of the containment this kernel cannot enforce; `None` if it enforces all of them.
    pub(crate) fn lacking(&self) -> Option<&str> {
        self.lacking.as_deref()
    }

    /// Returns the commits to name to the server as already in the mirror: the commits of what is kept as `pin`.
    /// `None` if the object `id` itself is in the mirror.
    ///
    /// # Errors
    /// [`WorkerError`].
    pub(crate) fn tips_without(
        &mut self,
        id: ObjectId,
        pin: &str,
    ) -> Result<Option<Tips>, WorkerError> {
        match self.ask(&Request::Haves(id, pin.to_owned()), LOOKING)? {
            Answer::Here => Ok(None),
            Answer::Haves(commits, boundary)
                if commits.len() <= MOST_TIPS && boundary.len() <= MOST_TIPS =>
            {
                Ok(Some(Tips { commits, boundary }))
            }
            other => Err(self.unexpected(&other)),
        }
    }

    /// Pins `id`, which is now in the mirror, as `pin` for the next fetch to build on, and returns its commit.
    ///
    /// # Errors
    /// The object is not in the mirror, or it is neither a commit nor a tag of one.
    pub(crate) fn pin_fetched(&mut self, id: ObjectId, pin: &str) -> Result<ObjectId, WorkerError> {
        match self.ask(&Request::KeepAs(id, pin.to_owned()), KEEPING)? {
            Answer::Commit(id) => Ok(id),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Returns the content of an object, proven by the object's id.
    ///
    /// # Errors
    /// [`WorkerError`].
    pub(crate) fn object(
        &mut self,
        id: ObjectId,
        kind: ObjectKind,
    ) -> Result<Vec<u8>, WorkerError> {
        Ok(self.read(kind, &[id])?.pop().unwrap_or_default())
    }

    /// Returns the commits from `to` back to `from`; none if there is no such chain, [`Chain::Cut`] if the history that
    /// is here ends too early to know. The chain is not proven yet.
    ///
    /// # Errors
    /// [`WorkerError`].
    pub(crate) fn chain(&mut self, from: ObjectId, to: ObjectId) -> Result<Chain, WorkerError> {
        self.send(&Request::Chain(from, to), None, COMPARING)?;
        match self.channel.receive()? {
            (Kind::Bytes, bytes) => match self.answer(&mut |_| {})? {
                Answer::Done => Ok(Chain::Told(protocol::read_ids(&bytes).collect())),
                other => Err(self.unexpected(&other)),
            },
            (kind, content) => match self.read_answer(kind, &content, &mut |_| {})? {
                Some(Answer::Cut) => Ok(Chain::Cut),
                Some(other) => Err(self.unexpected(&other)),
                None => Err(self.channel.nonsense("progress in place of a chain")),
            },
        }
    }

    /// Has the worker pin the live revision and tidy the mirror.
    ///
    /// # Errors
    /// [`WorkerError`].
    pub(crate) fn keep(&mut self, live: ObjectId) -> Result<(), WorkerError> {
        match self.ask(&Request::Keep(live), TIDYING)? {
            Answer::Done => Ok(()),
            other => Err(self.unexpected(&other)),
        }
    }

    fn ask(&mut self, request: &Request, task: Task) -> Result<Answer, WorkerError> {
        self.send(request, None, task)?;
        self.answer(&mut |_| {})
    }

    /// Sends a request, followed by the list of ids that belongs to the request.
    pub(super) fn send(
        &mut self,
        request: &Request,
        ids: Option<&[ObjectId]>,
        task: Task,
    ) -> Result<(), WorkerError> {
        self.channel.begin(task);
        let frame = protocol::json(Kind::Json, request);
        let mut frames = frame.map_err(|error| WorkerError::Refused {
            trouble: protocol::FailureKind::Other,
            why: error.to_string(),
            errno: None,
        })?;
        frames.extend(ids.map(protocol::ids).unwrap_or_default());
        self.channel.send(&frames)
    }

    /// Waits for the answer and hands the progress before it to `tick`; an [`Answer::Failed`] is an error.
    pub(super) fn answer(&mut self, tick: &mut dyn FnMut(Progress)) -> Result<Answer, WorkerError> {
        loop {
            let (kind, content) = self.channel.receive()?;
            if let Some(answer) = self.read_answer(kind, &content, tick)? {
                return Ok(answer);
            }
        }
    }

    /// Returns the bytes that the last request has asked for.
    fn bytes(&mut self) -> Result<Vec<u8>, WorkerError> {
        let bytes = match self.channel.receive()? {
            (Kind::Bytes, bytes) => bytes.to_vec(),
            (kind, content) => {
                return match self.read_answer(kind, &content, &mut |_| {})? {
                    Some(answer) => Err(self.unexpected(&answer)),
                    None => Err(self.channel.nonsense("progress in place of bytes")),
                };
            }
        };
        match self.answer(&mut |_| {})? {
            Answer::Done => Ok(bytes),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Reads the answer from a frame; `None` if the frame holds progress, which goes to `tick`.
    pub(super) fn read_answer(
        &mut self,
        kind: Kind,
        content: &[u8],
        tick: &mut dyn FnMut(Progress),
    ) -> Result<Option<Answer>, WorkerError> {
        let read = match kind {
            Kind::Progress => serde_json::from_slice(content).map(|now| {
                tick(now);
                None
            }),
            Kind::Json => serde_json::from_slice(content).map(Some),
            Kind::Bytes | Kind::BrokenOff | Kind::Piece => {
                return Err(self.channel.nonsense("bytes nobody asked for"));
            }
        };
        match read {
            Ok(Some(Answer::Failed(trouble, why, errno))) => Err(WorkerError::Refused {
                trouble,
                why: cleaned(&why),
                errno,
            }),
            Ok(other) => Ok(other),
            Err(_) => Err(self.channel.nonsense("what is no answer")),
        }
    }

    pub(super) fn unexpected(&mut self, answer: &Answer) -> WorkerError {
        let what = format!("something else than was asked ({answer:?})");
        self.channel.nonsense(what)
    }

    /// Hands the pieces of `count` objects to `take` until the worker says that all are sent or `take` is false.
    fn pieces(
        &mut self,
        count: usize,
        take: &mut dyn FnMut(ObjectPiece) -> bool,
    ) -> Result<(), WorkerError> {
        let mut whole = vec![false; count];
        loop {
            let (kind, content) = self.channel.receive()?;
            if kind != Kind::Piece {
                return match self.read_answer(kind, &content, &mut |_| {})? {
                    Some(Answer::Done) if whole.iter().all(|whole| *whole) => Ok(()),
                    Some(Answer::Done) => {
                        Err(self.channel.nonsense("that all is there, and it is not"))
                    }
                    Some(other) => Err(self.unexpected(&other)),
                    None => continue,
                };
            }
            let piece = Piece::read(&content);
            let known = piece.and_then(|piece| Some((piece, whole.get_mut(piece.index)?)));
            let Some((piece, known)) = known.filter(|(_, whole)| !**whole) else {
                let what = "a piece of an object that nobody asked for";
                return Err(self.channel.nonsense(what));
            };
            *known = piece.last;
            let piece = ObjectPiece {
                index: piece.index,
                last: piece.last,
                bytes: content.slice_ref(piece.bytes),
            };
            if !take(piece) {
                self.channel.end();
                return Ok(());
            }
        }
    }
}

impl Objects for Client {
    fn read(&mut self, kind: ObjectKind, ids: &[ObjectId]) -> Result<Vec<Vec<u8>>, WorkerError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.send(&Request::Objects(kind), Some(ids), READING)?;
        let mut all = vec![Vec::new(); ids.len()];
        let mut held = 0;
        self.pieces(ids.len(), &mut |piece| {
            held += piece.bytes.len();
            if let Some(object) = all.get_mut(piece.index) {
                object.extend_from_slice(&piece.bytes);
            }
            held <= MOST_HELD
        })?;
        if held > MOST_HELD || all.iter().any(|object| object.len() > MOST_BYTES) {
            return Err(self.channel.nonsense("more bytes than are taken"));
        }
        for (id, content) in ids.iter().zip(&all) {
            if !id.names(kind, content) {
                self.channel.end();
                return Err(WorkerError::forged(*id));
            }
        }
        Ok(all)
    }

    fn sizes(&mut self, ids: &[ObjectId]) -> Result<Vec<u64>, WorkerError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.send(&Request::Sizes, Some(ids), READING)?;
        let bytes = self.bytes()?;
        let (sizes, rest) = bytes.as_chunks::<8>();
        if sizes.len() != ids.len() || !rest.is_empty() {
            return Err(self.channel.nonsense("fewer or more sizes than asked for"));
        }
        Ok(sizes.iter().copied().map(u64::from_le_bytes).collect())
    }

    fn stream(
        &mut self,
        ids: &[ObjectId],
        take: &mut dyn FnMut(ObjectPiece) -> bool,
    ) -> Result<(), WorkerError> {
        self.send(&Request::Objects(ObjectKind::Blob), Some(ids), WRITING)?;
        self.pieces(ids.len(), take)
    }
}

/// Cleans a text of the worker for a terminal; its lines stay separate lines.
fn cleaned(text: &str) -> String {
    let short: String = text.chars().take(MOST_TEXT).collect();
    text::lines(short.as_bytes()).join("\n  ")
}
