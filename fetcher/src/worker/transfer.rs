//! Handing a pack over to the worker, piece by piece.

use std::time::{Duration, Instant};

use pp_objects::ObjectId;
use pp_objects::protocol::{self, Answer, Kind, Progress, Request};

use super::channel::Task;
use super::client::Client;
use super::error::WorkerError;

/// For the worker to remove a pack that broke off.
const GIVING_UP: Duration = Duration::from_secs(5);

/// A pack that is being handed over.
pub(crate) struct Transfer<'a> {
    client: &'a mut Client,
    task: Task,
    bytes: u64,
    /// The worker's answer, should it come before the end.
    answer: Option<Answer>,
}

impl Client {
    /// Begins a pack that is to bring `id`, from a server whose own history ends at the commits `boundary`. It
    /// has to be handed over, and indexed, before `deadline`.
    ///
    /// # Errors
    /// [`WorkerError`].
    pub(crate) fn begin_pack(
        &mut self,
        id: ObjectId,
        boundary: &[ObjectId],
        deadline: Instant,
    ) -> Result<Transfer<'_>, WorkerError> {
        let time = deadline.saturating_duration_since(Instant::now());
        let task = Task {
            doing: "indexing what came",
            time: time.max(Duration::from_millis(1)),
        };
        self.send(&Request::Receive(id, boundary.to_vec()), None, task)?;
        Ok(Transfer {
            client: self,
            task,
            bytes: 0,
            answer: None,
        })
    }
}

impl Transfer<'_> {
    /// Hands over the next piece; tells `tick` how far the worker has come.
    ///
    /// # Errors
    /// The worker refuses the pack, or is gone.
    pub(crate) fn push(
        &mut self,
        piece: &[u8],
        tick: &mut dyn FnMut(Progress),
    ) -> Result<(), WorkerError> {
        // An empty piece would be the end.
        if piece.is_empty() {
            return Ok(());
        }
        self.bytes += piece.len() as u64;
        self.send(&protocol::frame(Kind::Bytes, piece), tick)
    }

    /// Says that the pack is over. Gives the number of its objects and of its bytes.
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
            None => self.client.answer(self.task, &mut |now| {
                tick(Progress {
                    bytes: self.bytes,
                    ..now
                });
            })?,
        };
        match answer {
            Answer::Received(objects) => Ok((objects, self.bytes)),
            other => Err(self.client.unexpected(&other, self.task)),
        }
    }

    /// Says that the pack does not go on, and waits a moment: the worker must not take what has come for all of
    /// it, and removes that. What it leaves all the same is removed when the mirror is opened again.
    pub(crate) fn break_off(self) {
        let task = Task {
            doing: "giving up the pack",
            time: GIVING_UP,
        };
        self.client.channel.begin(task);
        let frame = protocol::frame(Kind::BrokenOff, &[]);
        if self.client.channel.send(&frame, task).is_ok() {
            let _ = self.client.answer(task, &mut |_| {});
        }
    }

    fn send(&mut self, frame: &[u8], tick: &mut dyn FnMut(Progress)) -> Result<(), WorkerError> {
        let Self {
            client,
            task,
            bytes,
            answer,
        } = self;
        client.channel.send(frame, *task)?;
        while let Some((kind, content)) = client.channel.received_already(*task)? {
            let mut tick = |now| {
                tick(Progress {
                    bytes: *bytes,
                    ..now
                });
            };
            let early = client.read_answer(kind, &content, *task, &mut tick)?;
            *answer = answer.take().or(early);
        }
        Ok(())
    }
}
