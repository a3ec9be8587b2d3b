//! Sends a pack to the worker, piece by piece.

use std::time::{Duration, Instant};

use pp_objects::ObjectId;
use pp_objects::protocol::{self, Answer, Kind, Progress, Request};

use super::channel::Task;
use super::client::Client;
use super::error::WorkerError;

/// The time for the worker to remove a pack that broke off.
const GIVING_UP: Duration = Duration::from_secs(5);

/// A pack that is being sent to the worker.
pub(crate) struct Transfer<'a> {
    client: &'a mut Client,
    bytes: u64,
    /// The worker's answer, if it came before the end of the pack.
    answer: Option<Answer>,
}

impl Client {
    /// Begins to send a pack that must bring `id`, from a server that says that the history ends at the commits
    /// `boundary`. The pack has to be sent and indexed before `deadline`.
    ///
    /// # Errors
    /// [`WorkerError`].
    pub(crate) fn begin_pack(
        &mut self,
        id: ObjectId,
        boundary: &[ObjectId],
        deadline: Instant,
    ) -> Result<Transfer<'_>, WorkerError> {
        self.begin(&Request::Receive(id, boundary.to_vec()), deadline)
    }

    /// Begins to send a pack that is for its commits alone and does not get into the mirror. The pack has to be sent
    /// and indexed before `deadline`.
    ///
    /// # Errors
    /// [`WorkerError`].
    pub(crate) fn begin_history(&mut self, deadline: Instant) -> Result<Transfer<'_>, WorkerError> {
        self.begin(&Request::ReceiveHistory, deadline)
    }

    fn begin(&mut self, request: &Request, deadline: Instant) -> Result<Transfer<'_>, WorkerError> {
        let time = deadline.saturating_duration_since(Instant::now());
        let task = Task {
            doing: "indexing what came",
            time: time.max(Duration::from_millis(1)),
        };
        self.send(request, None, task)?;
        Ok(Transfer {
            client: self,
            bytes: 0,
            answer: None,
        })
    }
}

impl Transfer<'_> {
    /// Sends the next piece of the pack; tells `tick` how far the worker has got.
    ///
    /// # Errors
    /// The worker refuses the pack, or is gone.
    pub(crate) fn push(
        &mut self,
        piece: &[u8],
        tick: &mut dyn FnMut(Progress),
    ) -> Result<(), WorkerError> {
        // An empty piece would mean the end of the pack.
        if piece.is_empty() {
            return Ok(());
        }
        self.bytes += piece.len() as u64;
        self.send(&protocol::frame(Kind::Bytes, piece), tick)
    }

    /// Tells the worker that the pack is complete. Returns the number of the pack's objects and of its bytes.
    ///
    /// # Errors
    /// The worker refuses the pack, or is gone.
    pub(crate) fn finish(
        mut self,
        tick: &mut dyn FnMut(Progress),
    ) -> Result<(u64, u64), WorkerError> {
        self.send(&protocol::frame(Kind::Bytes, &[]), tick)?;
        let answer = match self.answer.take() {
            Some(answer) => answer,
            None => self.client.answer(&mut |now| {
                tick(Progress {
                    bytes: self.bytes,
                    ..now
                });
            })?,
        };
        match answer {
            Answer::Received(objects) => Ok((objects, self.bytes)),
            other => Err(self.client.unexpected(&other)),
        }
    }

    /// Tells the worker that the pack is not continued, and waits a moment: the worker must not take the part that
    /// has come for the whole pack, and removes the part. A part that the worker leaves behind all the same is
    /// removed when the mirror is opened again.
    pub(crate) fn break_off(self) {
        let task = Task {
            doing: "giving up the pack",
            time: GIVING_UP,
        };
        self.client.channel.begin(task);
        let frame = protocol::frame(Kind::BrokenOff, &[]);
        if self.client.channel.send(&frame).is_ok() {
            let _ = self.client.answer(&mut |_| {});
        }
    }

    fn send(&mut self, frame: &[u8], tick: &mut dyn FnMut(Progress)) -> Result<(), WorkerError> {
        let Self {
            client,
            bytes,
            answer,
        } = self;
        client.channel.send(frame)?;
        while let Some((kind, content)) = client.channel.received_already()? {
            let mut tick = |now| {
                tick(Progress {
                    bytes: *bytes,
                    ..now
                });
            };
            let early = client.read_answer(kind, &content, &mut tick)?;
            *answer = answer.take().or(early);
        }
        Ok(())
    }
}
