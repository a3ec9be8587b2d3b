//! The monitor: the process that stays root, without capabilities. It reads fixed-size orders of the front,
//! enforces the limit of each unit, and asks systemd to act on units, which an order names by their index in
//! the policy. It never reads a byte of a client.

pub(crate) mod bus;
mod connection;
pub mod fronts;
pub(crate) mod limit;
mod manager;
pub(crate) mod stored_limits;
pub(crate) mod watch;
mod work;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep_until, timeout};

use crate::pair::{MonitorReply, ORDER};
pub use manager::{Changes, Manager};
pub use work::Service;
use work::{Received, UnitJobs};

/// How long the monitor waits for jobs while the host shuts down: systemd cancels or finishes them by itself.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// How often, while the service stops, the monitor asks systemd whether the host is shutting down.
const LOOK: Duration = Duration::from_secs(1);

/// How long a front may take to receive one reply of the monitor.
const TAKE: Duration = Duration::from_secs(1);

/// Serves the front until it leaves, then waits for the jobs under way. A front that crashes is replaced at
/// once, as long as another one waits. After `stop` or a change of the policy the monitor begins nothing more
/// and tells the front to drain; while the host shuts down it waits only briefly for jobs and for the front.
///
/// # Errors
/// The front sent an order that makes no sense, did not receive a reply in time, or did not leave in time; or
/// the last front crashed.
pub async fn serve<M: Manager>(
    service: Service,
    manager: Arc<M>,
    stop: impl Future<Output = ()>,
    changes: impl Changes,
) -> io::Result<()> {
    let (mut work, mut fronts) = UnitJobs::new(service, Arc::clone(&manager));
    let mut pair = fronts.next().await?;
    tokio::pin!(stop);
    let mut stopping = false;
    let mut ended: Option<io::Result<()>> = None;
    // `look`: when to ask next whether the host is shutting down. `give_up`: when to stop waiting for jobs.
    // `leave_by`: when the front must have left.
    let (mut look, mut give_up, mut leave_by) = (None, None, None);
    let mut orders = OrderReader::default();
    while ended.is_none() || !work.jobs.is_empty() {
        let replies = tokio::select! {
            () = &mut stop, if !stopping => {
                stopping = true;
                work.forget_limits();
                look = Some(Instant::now());
                work.drain(&mut leave_by)
            }
            () = until(look), if look.is_some() => {
                look = Some(Instant::now() + LOOK);
                if manager.is_shutting_down().await {
                    look = None;
                    give_up = Some(Instant::now() + SHUTDOWN);
                    leave_by = Some(Instant::now() + 2 * SHUTDOWN);
                }
                continue;
            }
            () = until(give_up), if give_up.is_some() => {
                give_up = None;
                work.give_up()
            }
            () = until(leave_by), if leave_by.is_some() && ended.is_none() => {
                ended = Some(Err(io::Error::other("the front did not leave when it was sent to")));
                continue;
            }
            () = changes.wait(), if !work.draining => match changes.are_there() {
                true => work.drain(&mut leave_by),
                false => continue,
            },
            Some(done) = work.jobs.join_next() => match done {
                Ok((front, order, report)) => work.finished(front, order, report),
                Err(error) => {
                    ended = Some(Err(io::Error::other(error)));
                    continue;
                }
            },
            message = orders.next(&mut pair), if ended.is_none() => match message {
                Some(message) => match work.receive(&message, &changes, &mut leave_by) {
                    Received::Replies(replies) => replies,
                    Received::End(result) => {
                        ended = Some(result);
                        continue;
                    }
                },
                None => {
                    orders = OrderReader::default();
                    work.replace(&mut pair, &mut fronts, &mut ended).await
                }
            }
        };
        if ended.is_none() && !send_replies(&mut pair, &replies).await {
            let why = "the front does not take what it is sent";
            ended = Some(Err(io::Error::other(why)));
        }
    }
    drop((pair, fronts));
    ended.unwrap_or(Ok(()))
}

/// Sends the replies `replies` to the front; returns `false` if the front does not receive one in time. A front
/// that reads nothing must not delay records, other fronts or a stop.
async fn send_replies(pair: &mut UnixStream, replies: &[MonitorReply]) -> bool {
    for reply in replies {
        let sent = timeout(TAKE, pair.write_all(&reply.encode())).await;
        // Only a time-out counts. If the front is gone, the next read of the pair shows that, after the orders
        // that the front has still sent.
        if sent.is_err() {
            return false;
        }
    }
    true
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Reads messages of [`ORDER`] bytes. What has come of a message stays here when the reading is cancelled.
#[derive(Default)]
struct OrderReader {
    buffer: [u8; ORDER],
    have: usize,
}

impl OrderReader {
    /// Gives the next message; `None` if the front is gone.
    async fn next(&mut self, pair: &mut UnixStream) -> Option<[u8; ORDER]> {
        while let Some(space) = self.buffer.get_mut(self.have..).filter(|s| !s.is_empty()) {
            match pair.read(space).await {
                Ok(count @ 1..) => self.have += count,
                _ => return None,
            }
        }
        self.have = 0;
        Some(self.buffer)
    }
}
