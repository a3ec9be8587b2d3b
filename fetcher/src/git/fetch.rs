//! Fetches one revision, with all objects it needs, from the remote into the mirror that the worker has open; and the
//! commits between two revisions, to find out whether one descends from the other.

use pp_objects::ObjectId;
use pp_objects::protocol::{FailureKind, Progress};
use thiserror::Error;

use super::error::RemoteError;
use super::listing::ListedRevision;
use super::remote::Remote;
use super::transport::Transport;
use super::wire::{self, Between};
use crate::util::text;
use crate::worker::{Client, Transfer, WorkerError};

/// The name of the pin on the last fetched revision, so that the next fetch builds on it whatever came of its
/// deploy.
pub(crate) const LAST: &str = "last-fetched";

/// Why a fetch failed. The mirror is then unchanged.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    /// The conversation with the remote failed.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The worker or the mirror failed.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

/// The result of a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// The commit to deploy: in the mirror, with its tree. Named by the worker, not proven.
    pub(crate) commit: ObjectId,
    /// Bytes of the pack; 0 if the revision was in the mirror already.
    pub(crate) bytes: u64,
    /// Objects of the pack.
    pub(crate) objects: u64,
}

/// After a pack of so many objects the commits up to the revision are asked for while the worker indexes the pack. A
/// single commit, whose parent shows its descent and which needs no such question, mostly has fewer: then the forge would
/// be asked in vain.
const MANY: u32 = 16;

/// Where a pack's header has the number of its objects, four bytes big-endian (gitformat-pack(5)).
const COUNT_AT: std::ops::Range<usize> = 8..12;

/// The answer of a server to the question for the commits of one revision that are not in another one's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum History {
    /// The server does not know the other revision, so none of its revisions descends from it.
    Unknown,
    /// There is no such commit: by the server's word, the revision is in the history of the other.
    Empty,
    /// The worker has the commits.
    Came,
}

impl Remote {
    /// Fetches `revision` into the mirror that `worker` has open, and pins it there as `pin`.
    ///
    /// # Errors
    /// The remote or the worker reports an error.
    pub(crate) fn fetch(
        &mut self,
        worker: &mut Client,
        revision: &ListedRevision,
        pin: &str,
        tick: &mut dyn FnMut(Progress),
    ) -> Result<Fetched, FetchError> {
        let (mut objects, mut bytes) = (0, 0);
        if let Some(tips) = worker.tips_without(revision.id, pin)? {
            let asked = wire::pack::request(
                &mut self.wire,
                &mut self.greeting,
                revision.id,
                &tips.commits,
                &tips.boundary,
            );
            asked.map_err(|error| self.failed(error))?;
            // Nobody asks how the commit of a submodule stands to the one before.
            let ahead = match pin == LAST {
                true => self.history_to_ask_ahead(revision.id, &tips.commits),
                false => None,
            };
            let received = self.receive(worker, revision.id, ahead, tick);
            (objects, bytes) = received.map_err(|error| self.of_the_pack(error))?;
        }
        Ok(Fetched {
            commit: worker.pin_fetched(revision.id, pin)?,
            bytes,
            objects,
        })
    }

    /// Gets the commits between two revisions to the worker, which follows them until it ends; the mirror does not
    /// change. While the server looks for the commits, the worker is free for `meanwhile`. In version 0 this works only
    /// before anything was fetched.
    ///
    /// # Errors
    /// The remote or the worker reports an error, or `meanwhile` does.
    pub(crate) fn fetch_history(
        &mut self,
        worker: &mut Client,
        between: Between,
        meanwhile: impl FnOnce(&mut Client) -> Result<(), WorkerError>,
    ) -> Result<History, FetchError> {
        if self.asked.take().is_none() {
            let sent = wire::history::request(&mut self.wire, &mut self.greeting, between);
            sent.map_err(|error| self.failed(error))?;
        }
        meanwhile(worker)?;
        let known = wire::history::answer(&mut self.wire, &mut self.greeting, between);
        if !known.map_err(|error| self.failed(error))? {
            return Ok(History::Unknown);
        }
        let deadline = self.wire.stream().deadline();
        let transfer = worker.begin_history(deadline)?;
        let passed_on = self.pass_on(transfer, &mut |_| {});
        match passed_on.and_then(|(transfer, _)| Ok(transfer.finish(&mut |_| {})?)) {
            Ok((0, _)) => Ok(History::Empty),
            Ok(_) => Ok(History::Came),
            Err(error) => Err(self.of_the_pack(error)),
        }
    }

    /// Returns whether this conversation can be asked for the commits between two revisions: in version 0 there is one
    /// pack a conversation, and an answer that was asked for already comes first.
    #[must_use]
    pub(crate) fn can_be_asked_for(&self, between: Between) -> bool {
        self.goes_on() && self.asked.is_none_or(|asked| asked == between)
    }

    /// Returns whether this conversation can answer another request: in version 0 there is one pack a conversation.
    #[must_use]
    pub(crate) fn goes_on(&self) -> bool {
        self.greeting.version == wire::Version::V2
    }

    /// Returns the revisions whose history will be asked for next if the mirror cannot tell: the mirror keeps one revision,
    /// mostly the live one, without its history. A server that cannot leave out trees would send them all in vain, if the
    /// answer is not needed; over https, a request waits for the answer to the one before.
    fn history_to_ask_ahead(&mut self, want: ObjectId, tips: &[ObjectId]) -> Option<Between> {
        let pipe = matches!(self.wire.stream(), Transport::Pipe(_));
        match tips {
            [have] if pipe && self.goes_on() => {
                let greeting = &self.greeting;
                let can = greeting.cuts_histories() && greeting.leaves_out_trees();
                can.then_some(Between { want, have: *have })
            }
            _ => None,
        }
    }

    /// Receives the pack that brings `id`. After a pack of many objects, and while the worker indexes it, asks for the
    /// commits between the revisions `ahead`.
    fn receive(
        &mut self,
        worker: &mut Client,
        id: ObjectId,
        ahead: Option<Between>,
        tick: &mut dyn FnMut(Progress),
    ) -> Result<(u64, u64), FetchError> {
        let deadline = self.wire.stream().deadline();
        let transfer = worker.begin_pack(id, &self.greeting.shallow, deadline)?;
        let (transfer, objects) = self.pass_on(transfer, tick)?;
        if let Some(between) = ahead.filter(|_| objects >= MANY) {
            // A request that cannot be sent is missed when its answer is needed, if ever.
            let sent = wire::history::request(&mut self.wire, &mut self.greeting, between);
            self.asked = sent.is_ok().then_some(between);
        }
        Ok(transfer.finish(tick)?)
    }

    /// Passes the pack from the server on to the worker, piece by piece. Returns the transfer, which is still to be
    /// finished, and the number of objects that the pack is said to have.
    fn pass_on<'a>(
        &mut self,
        mut transfer: Transfer<'a>,
        tick: &mut dyn FnMut(Progress),
    ) -> Result<(Transfer<'a>, u32), FetchError> {
        let mut objects = None;
        loop {
            match wire::pack::next_chunk(&mut self.wire) {
                Ok(Some([])) => {}
                Ok(Some(chunk)) => {
                    objects.get_or_insert(count(chunk));
                    transfer.push(chunk, tick)?;
                }
                Ok(None) => return Ok((transfer, objects.unwrap_or(0))),
                Err(error) => {
                    transfer.break_off();
                    return Err(self.failed(error).into());
                }
            }
        }
    }

    /// Turns worker errors about a refused pack, a pack not indexed in time, or a stop into errors of the remote.
    fn of_the_pack(&self, error: FetchError) -> FetchError {
        let remote = self.ends.remote.clone();
        match error {
            FetchError::Worker(WorkerError::Refused {
                trouble: FailureKind::Pack,
                why,
                ..
            }) => {
                let why = text::line(why.as_bytes());
                RemoteError::Pack { remote, why }.into()
            }
            FetchError::Worker(WorkerError::TimedOut { .. }) => RemoteError::TimedOut {
                remote,
                deadline: self.ends.options.deadline,
                said: String::new(),
            }
            .into(),
            FetchError::Worker(WorkerError::Stopped { .. }) => {
                RemoteError::Stopped { remote }.into()
            }
            other => other,
        }
    }
}

/// Returns the number of objects in the pack that begins with this chunk; 0 if the chunk is too short to tell.
fn count(chunk: &[u8]) -> u32 {
    let bytes = chunk.get(COUNT_AT).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u32::from_be_bytes)
}
