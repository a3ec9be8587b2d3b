//! The monitor: the process that stays root, without capabilities. It reads fixed-size orders of the front,
//! enforces the limit of each unit, and asks systemd to act on units, which an order names by their index in
//! the policy. It never reads a byte of a client.

pub mod bus;
pub mod fronts;
pub mod limit;
pub mod stored_limits;
pub mod watch;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use pp_protocol::{JobResult, Report, UnitName, Verb};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::audit;
use crate::pair::{IS_CURRENT, LEAVE, MonitorReply, ORDER, Order};
use crate::policy::Policy;
use fronts::Fronts;
use limit::Bucket;
use stored_limits::StoredLimits;

/// How long the monitor waits for jobs while the host shuts down: systemd cancels or finishes them by itself.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// How often, while the service stops, the monitor asks systemd whether the host is shutting down.
const LOOK: Duration = Duration::from_secs(1);

/// How long a front may take to leave after it was told to drain: it waits for one job at most, which
/// [`bus::Systemd`] bounds at 200 s.
const DRAIN: Duration = Duration::from_secs(220);

/// How long a front may take to receive one reply of the monitor.
const TAKE: Duration = Duration::from_secs(1);

/// Most jobs at once: as many as the front serves connections, so only a front that was taken over by an
/// attacker ever wants more.
const JOBS: usize = 16;

/// The wait that the reply names if an order cannot be begun for another reason than its unit's limit.
const LATER: Duration = Duration::from_secs(1);

/// A service manager that can act on units: systemd, or a fake in tests.
pub trait Manager: Send + Sync + 'static {
    /// Does `verb` to `unit`, once, and returns how the job ended and the unit's state.
    fn act(&self, verb: Verb, unit: &UnitName) -> impl Future<Output = Report> + Send;

    /// Returns whether the host is shutting down.
    fn is_shutting_down(&self) -> impl Future<Output = bool> + Send;
}

/// Notices that the policy has changed on disk since the service has read it.
pub trait Changes {
    /// Returns whether the policy has changed.
    fn have_come(&self) -> bool;

    /// Waits until the policy may have changed; [`Self::have_come`] tells whether it has.
    fn come(&self) -> impl Future<Output = ()>;
}

struct Unit {
    name: UnitName,
    bucket: Bucket,
    /// The order that is being carried out, and the number of the front that sent it.
    running: Option<(u32, Order)>,
    /// The order to begin after `running`, and the number of the front that sent it. Only used if the front
    /// that sent `running` has crashed: its successor does not know of that order and may send one.
    next: Option<(u32, Order)>,
    /// Whether it is already in the log that the limit is reached.
    told: bool,
}

/// The state that the monitor needs to serve: the units' limits and the fronts.
#[derive(Debug)]
pub struct Service {
    units: Vec<(UnitName, Bucket)>,
    stored_limits: StoredLimits,
    fronts: Fronts,
}

impl Service {
    /// Creates the state for the units of `policy`. For each unit, in the same order, `missing` holds the time
    /// until its limit is full again.
    #[must_use]
    pub fn new(
        policy: &Policy,
        (stored_limits, missing): (StoredLimits, Vec<Duration>),
        fronts: Fronts,
    ) -> Self {
        let now = Instant::now();
        let missing = missing.into_iter().chain(std::iter::repeat(Duration::ZERO));
        let bucket = |(unit, missing): (&crate::policy::Unit, _)| {
            (unit.name.clone(), Bucket::missing(unit.limit, now, missing))
        };
        Self {
            units: policy.units.iter().zip(missing).map(bucket).collect(),
            stored_limits,
            fronts,
        }
    }
}

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
    let (mut work, mut fronts) = Work::new(service, Arc::clone(&manager));
    let mut pair = fronts.next().await?;
    tokio::pin!(stop);
    let mut stopping = false;
    let mut ended: Option<io::Result<()>> = None;
    // `look`: when to ask next whether the host is shutting down. `give_up`: when to stop waiting for jobs.
    // `leave_by`: when the front must have left.
    let (mut look, mut give_up, mut leave_by) = (None, None, None);
    let (mut buffer, mut have) = ([0; ORDER], 0);
    while ended.is_none() || !work.jobs.is_empty() {
        let space = buffer.get_mut(have..).unwrap_or_default();
        let words = tokio::select! {
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
                ended = Some(Err(io::Error::other("the front did not leave when it was told to")));
                continue;
            }
            () = changes.come(), if !work.draining => match changes.have_come() {
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
            read = pair.read(space), if ended.is_none() => match read {
                Ok(n @ 1..) => {
                    have += n;
                    if have < ORDER {
                        continue;
                    }
                    have = 0;
                    match work.receive(&buffer, &changes, &mut leave_by) {
                        Received::Replies(replies) => replies,
                        Received::Left => {
                            ended = Some(Ok(()));
                            continue;
                        }
                        Received::Nonsense => {
                            let why = "the front sent an order that makes no sense";
                            ended = Some(Err(io::Error::other(why)));
                            continue;
                        }
                    }
                }
                _ => {
                    have = 0;
                    work.replace(&mut pair, &mut fronts, &mut ended).await
                }
            }
        };
        if ended.is_none() && !tell(&mut pair, &words).await {
            let why = "the front does not take what it is told";
            ended = Some(Err(io::Error::other(why)));
        }
    }
    drop((pair, fronts));
    ended.unwrap_or(Ok(()))
}

/// Sends the replies `words` to the front; returns `false` if the front does not receive one in time. A front
/// that reads nothing must not delay records, other fronts or a stop.
async fn tell(pair: &mut UnixStream, words: &[MonitorReply]) -> bool {
    for word in words {
        let told = timeout(TAKE, pair.write_all(&word.encode())).await;
        // Only a time-out counts. If the front is gone, the next read of the pair shows that, after the orders
        // that the front has still sent.
        if told.is_err() {
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

/// What a message of the front leads to.
enum Received {
    /// The monitor sends these replies.
    Replies(Vec<MonitorReply>),
    /// The front leaves as intended.
    Left,
    /// The service ends with an error: an intact front never sends such a message.
    Nonsense,
}

/// The units, and the jobs that are under way for them.
struct Work<M> {
    units: Vec<Unit>,
    stored_limits: StoredLimits,
    manager: Arc<M>,
    jobs: JoinSet<(u32, Order, Report)>,
    /// The number of the front that is served now.
    front: u32,
    /// Whether nothing is begun any more: the front's policy is not the one on disk, or the service is to stop.
    draining: bool,
}

impl<M: Manager> Work<M> {
    /// Returns the work for the units of `service`, with no job under way, and the fronts of `service`.
    fn new(service: Service, manager: Arc<M>) -> (Self, Fronts) {
        let unit = |(name, bucket)| Unit {
            name,
            bucket,
            running: None,
            next: None,
            told: false,
        };
        let work = Self {
            units: service.units.into_iter().map(unit).collect(),
            stored_limits: service.stored_limits,
            manager,
            jobs: JoinSet::new(),
            front: 0,
            draining: false,
        };
        (work, service.fronts)
    }

    /// Takes a message of the front, which is an order, [`IS_CURRENT`] or [`LEAVE`].
    fn receive(
        &mut self,
        message: &[u8; ORDER],
        changes: &impl Changes,
        leave_by: &mut Option<Instant>,
    ) -> Received {
        if *message == LEAVE {
            return Received::Left;
        }
        if *message == IS_CURRENT {
            return Received::Replies(match self.draining || changes.have_come() {
                true => self.drain(leave_by),
                false => vec![MonitorReply::Current],
            });
        }
        match self.take(message) {
            Some(reply) => Received::Replies(reply.into_iter().collect()),
            None => Received::Nonsense,
        }
    }

    /// Begins nothing from now on, sets the time by which the front must have left, and returns the reply that
    /// tells the front to leave.
    fn drain(&mut self, leave_by: &mut Option<Instant>) -> Vec<MonitorReply> {
        self.draining = true;
        leave_by.get_or_insert_with(|| Instant::now() + DRAIN);
        vec![MonitorReply::Drain]
    }

    /// Makes another front serve in place of one that has crashed. Returns the first replies to the new front.
    async fn replace(
        &mut self,
        pair: &mut UnixStream,
        fronts: &mut Fronts,
        ended: &mut Option<io::Result<()>>,
    ) -> Vec<MonitorReply> {
        audit::alarm("front", "the process that faces callers has crashed");
        match fronts.next().await {
            Ok(next) => *pair = next,
            Err(error) => *ended = Some(Err(error)),
        }
        self.front += 1;
        self.draining
            .then_some(MonitorReply::Drain)
            .into_iter()
            .collect()
    }

    /// Takes an order of the front. Returns the reply to send at once, if any. Returns `None` if there is no such
    /// unit or verb, or if an earlier order of this front for the unit is still under way: only a front that was
    /// taken over by an attacker does not wait for the end of that order.
    fn take(&mut self, bytes: &[u8; ORDER]) -> Option<Option<MonitorReply>> {
        let order = Order::decode(bytes)?;
        let unit = self.units.get_mut(usize::try_from(order.unit).ok()?)?;
        match (unit.running, unit.next) {
            (Some((front, _)), _) | (_, Some((front, _))) if front == self.front => None,
            // The order under way is one of a front that has crashed since, so this order waits for its end.
            (Some(_), _) => {
                unit.next = Some((self.front, order));
                Some(None)
            }
            (None, _) => Some(self.begin(order)),
        }
    }

    /// Asks systemd to carry the order out, or returns a reply that says how long to wait.
    fn begin(&mut self, order: Order) -> Option<MonitorReply> {
        let index = usize::try_from(order.unit).ok()?;
        let unit = self.units.get_mut(index)?;
        if self.draining || self.jobs.len() >= JOBS {
            return Some(MonitorReply::Busy(order.id, LATER));
        }
        let now = Instant::now();
        if let Err(wait) = unit.bucket.take(now) {
            if !std::mem::replace(&mut unit.told, true) {
                audit::limited(&order, &unit.name, wait);
            }
            return Some(MonitorReply::Busy(order.id, wait));
        }
        if let Err(error) = self.stored_limits.store(index, unit.bucket.until_full(now)) {
            audit::alarm("limits", &format!("{}: {error}", stored_limits::FILE));
        }
        // Before systemd is asked: even if this process ends now, the log has a record of the restart.
        audit::begun(&order, &unit.name);
        (unit.running, unit.told) = (Some((self.front, order)), false);
        let (name, manager, front) = (unit.name.clone(), Arc::clone(&self.manager), self.front);
        let act = async move { (front, order, manager.act(order.verb, &name).await) };
        self.jobs.spawn(act);
        Some(MonitorReply::Accepted(order.id))
    }

    /// Logs the result of an order, and begins the order that waited for its end. Returns the replies to the
    /// front that is served now: the result, if this front sent the order, and the reply to the order that waited.
    fn finished(&mut self, front: u32, order: Order, report: Report) -> Vec<MonitorReply> {
        let mut words = Vec::new();
        let index = usize::try_from(order.unit).ok();
        let unit = index.and_then(|index| self.units.get_mut(index));
        let next = unit.and_then(|unit| {
            audit::job(&order, &unit.name, &report);
            unit.running = None;
            unit.next.take()
        });
        if front == self.front {
            words.push(MonitorReply::Finished(order.id, report));
        }
        // An order of a front that has crashed since is dropped, as its callers do not wait any more.
        let next = next.filter(|(front, _)| *front == self.front);
        words.extend(next.and_then(|(_, next)| self.begin(next)));
        words
    }

    /// Resets the stored limit of every unit. This happens on a stop of the service: only root can stop it, and
    /// then wants a fresh start.
    fn forget_limits(&self) {
        for index in 0..self.units.len() {
            // If this cannot be written, the unit's old limit merely holds until it has filled up.
            let _ = self.stored_limits.store(index, Duration::ZERO);
        }
    }

    /// Stops waiting for jobs whose end will not be seen. Writes a record and returns a reply for each.
    fn give_up(&mut self) -> Vec<MonitorReply> {
        self.jobs = JoinSet::new();
        let mut words = Vec::new();
        let unseen = Report {
            job: JobResult::Unknown,
            ..Report::unseen()
        };
        for unit in &mut self.units {
            let waiting = unit.next.take().filter(|(front, _)| *front == self.front);
            words.extend(waiting.map(|(_, order)| MonitorReply::Busy(order.id, LATER)));
            if let Some((front, order)) = unit.running.take() {
                audit::job(&order, &unit.name, &unseen);
                let served = front == self.front;
                words.extend(served.then(|| MonitorReply::Finished(order.id, unseen.clone())));
            }
        }
        words
    }
}
