//! The main loop of the worker: gives one answer to each request, until standard input ends.

use std::io::{self, Read, Stdin};
use std::path::Path;

use git2::Oid;
use pp_objects::protocol::{self, Answer, Kind, MOST_BYTES, Progress, Request};
use pp_objects::{Kind as ObjectKind, ObjectId};

use crate::mirror::{Descent, MANY, Mirror, Pack, PackError, Received, oid};
use crate::objects;
use crate::output::{Output, Refusal};

/// The worker's input and output.
pub(crate) struct Worker {
    from: Stdin,
    to: Output,
}

impl Worker {
    pub(crate) fn new() -> Self {
        Self {
            from: io::stdin(),
            to: Output::new(),
        }
    }

    /// Serves the mirror at `path` until standard input ends; `lacking` says which parts of the containment the
    /// kernel could not enforce.
    ///
    /// # Errors
    /// The parent is gone, or sends bytes that are no request.
    pub(crate) fn run(&mut self, path: &Path, lacking: Option<String>) -> io::Result<()> {
        let mut mirror = match Mirror::open(path) {
            Ok(mirror) => Some(mirror),
            Err(error) => return self.answer(Err(error.into())),
        };
        let version = protocol::VERSION.to_owned();
        self.answer(Ok(Answer::Ready { version, lacking }))?;
        let mut text = Vec::new();
        while let Some(kind) = protocol::read(&mut self.from, &mut text)? {
            // A frame of another kind is the rest of a pack that was given up before its end.
            if kind != Kind::Json {
                continue;
            }
            let Some(open) = mirror.take() else {
                return Ok(());
            };
            let (open, answer) = match serde_json::from_slice(&text)? {
                // Tidying takes the mirror and returns it opened anew.
                Request::Keep(live) => keep(open, live),
                request => {
                    let answer = self.carry_out(&open, request);
                    (Some(open), answer)
                }
            };
            mirror = open;
            self.answer(answer)?;
        }
        Ok(())
    }

    fn answer(&self, answer: Result<Answer, Refusal>) -> io::Result<()> {
        let answer = answer.unwrap_or_else(Refusal::into_answer);
        self.to.send(&protocol::json(Kind::Json, &answer)?)
    }

    fn carry_out(&mut self, mirror: &Mirror, request: Request) -> Result<Answer, Refusal> {
        match request {
            Request::Haves(id, pin) => Ok(match mirror.tips_without(oid(id)?, &pin)? {
                None => Answer::Here,
                Some(tips) => Answer::Haves(ids(&tips.commits)?, ids(&tips.boundary)?),
            }),
            Request::Receive(id, boundary) => {
                let id = oid(id)?;
                let boundary = boundary.iter().map(|id| oid(*id));
                let boundary = boundary.collect::<Result<Vec<_>, _>>()?;
                self.receive(|pack, progress| mirror.receive(id, &boundary, pack, progress))
            }
            Request::ReceiveHistory => {
                self.receive(|pack, progress| mirror.receive_history(pack, progress))
            }
            Request::KeepAs(id, pin) => {
                let commit = mirror.pin_fetched(oid(id)?, &pin)?;
                Ok(Answer::Commit(named(commit)?))
            }
            Request::Objects(kind) => self.objects(mirror, kind),
            Request::Sizes => {
                let sizes = objects::sizes(mirror, &self.list()?)?;
                self.bytes(&sizes)
            }
            Request::Chain(from, to) => {
                let chain = match mirror.chain(oid(from)?, oid(to)?)? {
                    Descent::Shown(chain) => chain,
                    Descent::None => Vec::new(),
                    Descent::Cut => return Ok(Answer::Cut),
                };
                let bytes: Vec<u8> = chain.iter().flat_map(Oid::as_bytes).copied().collect();
                if bytes.len() > MOST_BYTES {
                    return Err(Refusal::other(
                        "the two revisions are too far apart to be compared",
                    ));
                }
                self.bytes(&bytes)
            }
            Request::Keep(_) => Err(Refusal::other("this is not asked so")),
        }
    }

    fn objects(&mut self, mirror: &Mirror, kind: ObjectKind) -> Result<Answer, Refusal> {
        let wanted = self.list()?;
        objects::send(mirror, kind, &wanted, &self.to)?;
        Ok(Answer::Done)
    }

    /// Sends the bytes that a request asked for, and returns the answer that follows them.
    fn bytes(&self, bytes: &[u8]) -> Result<Answer, Refusal> {
        self.to.send(&protocol::frame(Kind::Bytes, bytes))?;
        Ok(Answer::Done)
    }

    /// Reads the list of ids that follows a request.
    fn list(&mut self) -> Result<Vec<Oid>, Refusal> {
        let mut bytes = Vec::new();
        match protocol::read(&mut self.from, &mut bytes)? {
            Some(Kind::Bytes) => protocol::read_ids(&bytes).map(|id| Ok(oid(id)?)).collect(),
            _ => Err(Refusal::other("there is no list of objects")),
        }
    }

    fn receive(
        &mut self,
        take: impl FnOnce(&mut dyn Pack, &mut dyn FnMut(Received)) -> Result<Received, PackError>,
    ) -> Result<Answer, Refusal> {
        let mut pack = PackFromParent {
            from: &mut self.from,
            chunk: Vec::new(),
            over: false,
        };
        let to = &self.to;
        let received = take(&mut pack, &mut |now| {
            to.tell(Progress {
                bytes: now.bytes,
                done: now.indexed as u64,
                of: now.total as u64,
            });
        });
        match received {
            Ok(seen) => Ok(Answer::Received(seen.total as u64)),
            Err(PackError::Refused(why)) => Err(Refusal::pack(why)),
            Err(PackError::Mirror(error)) => Err(error.into()),
        }
    }
}

fn keep(mirror: Mirror, live: ObjectId) -> (Option<Mirror>, Result<Answer, Refusal>) {
    let pinned = oid(live).map_err(Refusal::from).and_then(|id| {
        // After a rollback the live revision may be from before what the mirror still has.
        match mirror.contains(id) {
            true => Ok(mirror.pin("live", id)?),
            false => Ok(()),
        }
    });
    if let Err(refusal) = pinned {
        return (Some(mirror), Err(refusal));
    }
    match mirror.repack(MANY) {
        Ok(mirror) => (Some(mirror), Ok(Answer::Done)),
        Err(error) => (None, Err(error.into())),
    }
}

/// A pack as the parent sends it: in pieces, of which an empty piece is the end.
struct PackFromParent<'a, R> {
    from: &'a mut R,
    chunk: Vec<u8>,
    over: bool,
}

impl<R: Read> Pack for PackFromParent<'_, R> {
    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        if self.over {
            return Ok(None);
        }
        match protocol::read(self.from, &mut self.chunk)? {
            Some(Kind::Bytes) if self.chunk.is_empty() => {
                self.over = true;
                Ok(None)
            }
            Some(Kind::Bytes) => Ok(Some(&self.chunk)),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Converts libgit2's id to the type of the messages.
fn named(id: Oid) -> Result<ObjectId, Refusal> {
    ObjectId::from_bytes(id.as_bytes()).ok_or_else(|| Refusal::other("an id of another length"))
}

fn ids(all: &[Oid]) -> Result<Vec<ObjectId>, Refusal> {
    all.iter().map(|id| named(*id)).collect()
}
