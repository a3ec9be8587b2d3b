//! The front: the process that faces clients. It accepts connections, authenticates callers, decodes requests,
//! decides on them and answers. It runs as a user of its own, without any right but its open sockets.

pub(crate) mod job_queue;
pub mod peer;
pub mod request;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::audit;
use crate::audit::log_limiter::{LogLimiter, UNTOLD};
use crate::pair::{IS_CURRENT, LEAVE, MonitorReply, ORDER, REPLY};
use crate::policy::{Caller, Policy};
use job_queue::JobQueue;

/// The limits of the front on connections and times. The limits of units are the monitor's.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Connections at once, from all callers.
    pub connections: usize,
    /// Connections at once, from one uid.
    pub per_uid: usize,
    /// Time that a client has to send its request.
    pub request: Duration,
    /// Time that a client has to receive the answer.
    pub reply: Duration,
    /// Time without any connection after which the front leaves.
    pub idle: Duration,
}

impl Settings {
    /// Returns the settings of the service. Its idle time is at least the time in which every unit's limit
    /// fills up, so that a new start of the service never allows a caller more requests than before.
    #[must_use]
    pub fn for_policy(policy: &Policy) -> Self {
        Self {
            connections: 16,
            per_uid: 4,
            request: Duration::from_secs(2),
            reply: Duration::from_secs(2),
            idle: policy.longest_refill().max(Duration::from_secs(300)),
        }
    }
}

/// The wait after an error of `accept(2)`, such as no descriptor left, so that the front does not retry in a
/// busy loop.
const AFTER_ERROR: Duration = Duration::from_millis(100);

/// The state that all connections share. The front has one thread, so nothing here is locked.
struct Front {
    policy: Policy,
    /// Whether the policy's files were refused: the log then names this as the reason of each denial.
    refused: bool,
    settings: Settings,
    job_queue: RefCell<JobQueue>,
    orders: mpsc::UnboundedSender<[u8; ORDER]>,
    per_uid: RefCell<HashMap<u32, usize>>,
    open: Cell<usize>,
    log_limiter: RefCell<LogLimiter>,
    drain: Notify,
    /// Notified when a connection or an order has ended: a front that drains waits for the last of them.
    closed: Notify,
    /// `asked`: how often the front asked the monitor whether its policy is the one on disk. `current`: how
    /// often the monitor replied that it is.
    asked: Cell<u64>,
    current: Cell<u64>,
    answered: Notify,
}

/// Serves clients until there were none for `settings.idle`, or until the monitor tells the front to drain.
/// Connections that were accepted are answered before this function returns; others stay in the socket's
/// backlog.
///
/// # Errors
/// The monitor is gone or sent an invalid reply.
pub async fn serve(
    listener: UnixListener,
    pair: UnixStream,
    (policy, refused): (Policy, bool),
    settings: Settings,
) -> io::Result<()> {
    let (from, mut to) = pair.into_split();
    let (orders, mut outbox) = mpsc::unbounded_channel::<[u8; ORDER]>();
    let front = Rc::new(Front {
        job_queue: RefCell::new(JobQueue::new(policy.units.len())),
        policy,
        refused,
        settings,
        orders,
        per_uid: RefCell::default(),
        open: Cell::new(0),
        log_limiter: RefCell::default(),
        drain: Notify::new(),
        closed: Notify::new(),
        asked: Cell::new(0),
        current: Cell::new(0),
        answered: Notify::new(),
    });
    #[allow(
        deprecated,
        reason = "unsound for a type that lies about its descriptor, which std's listener does not; its successor is unsafe"
    )]
    let listener = AsyncFd::with_interest(listener, Interest::READABLE)?;
    let local = LocalSet::new();
    let written = local.spawn_local(async move {
        while let Some(order) = outbox.recv().await {
            if to.write_all(&order).await.is_err() || order == LEAVE {
                break;
            }
        }
    });
    let ended = local
        .run_until(async {
            tokio::select! {
                broken = listen(&front, from) => broken,
                () = accept_all(&front, &listener) => {
                    // So that the monitor does not take the end of this process for a crash.
                    let _ = front.orders.send(LEAVE);
                    let _ = written.await;
                    Ok(())
                }
            }
        })
        .await;
    for (uid, times, last) in front.log_limiter.borrow_mut().rest() {
        audit::repeated(uid, times, &last);
    }
    ended
}

/// Takes the monitor's replies. Returns, with an error, only when the monitor is gone or a reply is invalid.
async fn listen(front: &Front, mut from: OwnedReadHalf) -> io::Result<()> {
    loop {
        let mut bytes = [0; REPLY];
        from.read_exact(&mut bytes).await?;
        match MonitorReply::decode(&bytes)
            .ok_or_else(|| io::Error::other("no word of a monitor"))?
        {
            MonitorReply::Drain => front.drain.notify_one(),
            MonitorReply::Current => {
                front.current.set(front.current.get() + 1);
                front.answered.notify_one();
            }
            reply => {
                if let Some(order) = front.job_queue.borrow_mut().take_reply(reply) {
                    let _ = front.orders.send(order.encode());
                }
                front.closed.notify_one();
            }
        }
    }
}

/// Accepts connections until the front is to drain or is idle for long enough, then waits for the connections
/// and orders under way.
async fn accept_all(front: &Rc<Front>, listener: &AsyncFd<UnixListener>) {
    let permits = Arc::new(Semaphore::new(front.settings.connections));
    let mut idle_since = Instant::now();
    loop {
        let accepted = async {
            // The permit comes before the accept: a connection that cannot be served now stays in the backlog
            // and costs the front nothing.
            let permit = Arc::clone(&permits).acquire_owned().await;
            (permit, front.accept(listener).await)
        };
        tokio::select! {
            (Ok(permit), stream) = accepted => match stream {
                Ok(stream) => start(front, stream, permit),
                Err(error) => {
                    let reason = format!("no connection could be accepted: {error}");
                    front.record(UNTOLD, &reason, || audit::alarm("accept", &reason));
                    sleep(AFTER_ERROR).await;
                }
            },
            () = front.drain.notified() => break,
            () = sleep_until(idle_since + front.settings.idle) => {
                if front.is_idle() {
                    break;
                }
                idle_since = Instant::now();
                continue;
            }
        }
        idle_since = Instant::now();
    }
    while !front.is_idle() {
        front.closed.notified().await;
    }
}

fn start(front: &Rc<Front>, stream: UnixStream, permit: OwnedSemaphorePermit) {
    let front = Rc::clone(front);
    front.open.set(front.open.get() + 1);
    tokio::task::spawn_local(async move {
        request::serve(&front, stream).await;
        front.open.set(front.open.get().saturating_sub(1));
        front.closed.notify_one();
        drop(permit);
    });
}

impl Front {
    /// Accepts the next connection. Before that, asks the monitor whether the policy has changed on disk. A
    /// connection that came after a change stays in the backlog, for a service that has read the new policy.
    async fn accept(&self, listener: &AsyncFd<UnixListener>) -> io::Result<UnixStream> {
        loop {
            let mut ready = listener.readable().await?;
            // tokio remembers readiness even after the last waiting connection was accepted, so poll(2) checks
            // that a connection is there. The front must ask the monitor only then: the connection came before
            // the monitor's reply, so it came before any change of the policy that the reply does not report.
            let mut here = [PollFd::new(listener.get_ref().as_fd(), PollFlags::POLLIN)];
            if poll(&mut here, PollTimeout::ZERO)? == 0 {
                ready.clear_ready();
                continue;
            }
            let _ = self.orders.send(IS_CURRENT);
            self.asked.set(self.asked.get() + 1);
            // Replies come in the order of the questions. A reply to an earlier question, whose accept was
            // abandoned, says nothing about the present policy, so the front waits for the last reply.
            while self.current.get() < self.asked.get() {
                self.answered.notified().await;
            }
            match ready.try_io(|listener| listener.get_ref().accept()) {
                Ok(accepted) => {
                    let (stream, _) = accepted?;
                    // std's `set_nonblocking` uses ioctl(2), which the front's seccomp filter forbids.
                    fcntl(&stream, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
                    return UnixStream::from_std(stream);
                }
                // The client that was waiting has disconnected.
                Err(_would_block) => {}
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.open.get() == 0 && self.job_queue.borrow().is_idle()
    }

    /// Writes a record about `uid` by calling `write`, unless the log limiter leaves the record out. `like` is
    /// the text by which the limiter recognises repeated records.
    fn record(&self, uid: u32, like: &str, write: impl FnOnce()) {
        let advice = self.log_limiter.borrow_mut().ask(uid, like, Instant::now());
        if let Some((times, last)) = advice.left_out {
            audit::repeated(uid, times, &last);
        }
        if advice.write {
            write();
        }
    }

    /// Counts a connection of this caller; returns `None` if the caller has too many.
    fn admit(&self, caller: &Caller) -> Option<Admitted<'_>> {
        let mut per_uid = self.per_uid.borrow_mut();
        let count = per_uid.entry(caller.uid).or_default();
        (*count < self.settings.per_uid).then(|| {
            *count += 1;
            Admitted {
                front: self,
                uid: caller.uid,
            }
        })
    }
}

/// One counted connection of a caller. Dropping it ends the count.
struct Admitted<'a> {
    front: &'a Front,
    uid: u32,
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        let mut per_uid = self.front.per_uid.borrow_mut();
        if let Some(count) = per_uid.get_mut(&self.uid) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                per_uid.remove(&self.uid);
            }
        }
    }
}
