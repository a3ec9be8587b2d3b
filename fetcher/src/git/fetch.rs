//! Fetches one revision, with all objects it needs, from the remote into the mirror that the worker has open.

use pp_objects::ObjectId;
use pp_objects::protocol::{FailureKind, Progress};
use thiserror::Error;

use super::error::RemoteError;
use super::listing::ListedRevision;
use super::remote::Remote;
use super::wire;
use crate::util::text;
use crate::worker::{Client, WorkerError};

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
    /// The commit to deploy: in the mirror, with its tree and its history. Named by the worker, not proven.
    pub(crate) commit: ObjectId,
    /// Bytes of the pack; 0 if the revision was in the mirror already.
    pub(crate) bytes: u64,
    /// Objects of the pack.
    pub(crate) objects: u64,
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
            let received = self.receive(worker, revision.id, tick);
            (objects, bytes) = received.map_err(|error| self.of_the_pack(error))?;
        }
        Ok(Fetched {
            commit: worker.pin_fetched(revision.id, pin)?,
            bytes,
            objects,
        })
    }

    /// Passes the pack from the server on to the worker, piece by piece.
    fn receive(
        &mut self,
        worker: &mut Client,
        id: ObjectId,
        tick: &mut dyn FnMut(Progress),
    ) -> Result<(u64, u64), FetchError> {
        let deadline = self.wire.stream().deadline();
        let mut transfer = worker.begin_pack(id, &self.greeting.shallow, deadline)?;
        loop {
            match wire::pack::next_chunk(&mut self.wire) {
                Ok(Some(chunk)) => transfer.push(chunk, tick)?,
                Ok(None) => return Ok(transfer.finish(tick)?),
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
