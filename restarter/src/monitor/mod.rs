//! The process that stays root, without capabilities. It reads fixed-size orders, holds the limit
//! of each unit, and has systemd do what the policy knows by index. It reads no client's byte.

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

/// How long jobs are waited for while the host shuts down: systemd cancels or finishes them without us.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// How often, while the service stops, the host is asked whether it shuts down.
const LOOK: Duration = Duration::from_secs(1);

/// How long a front that is told to drain may take: one job, which the manager of units bounds at 200 s.
const DRAIN: Duration = Duration::from_secs(220);

/// How long a front may take for a word of ours.
const TAKE: Duration = Duration::from_secs(1);

/// Jobs at once: as many as the front serves connections, so none that is itself ever wants more.
const JOBS: usize = 16;

/// What whoever comes while nothing is begun is told to wait.
const LATER: Duration = Duration::from_secs(1);

/// Whoever can restart units: systemd, or a fake one in tests.
pub trait Manager: Send + Sync + 'static {
    /// Does `verb` to `unit`, once, and reports what was seen.
    fn act(&self, verb: Verb, unit: &UnitName) -> impl Future<Output = Report> + Send;

    /// Whether the host is shutting down.
    fn is_shutting_down(&self) -> impl Future<Output = bool> + Send;
}

/// Whoever notices that the policy has changed on disk.
pub trait Changes {
    /// Whether it has.
    fn have_come(&self) -> bool;

    /// Waits until it may have.
    fn come(&self) -> impl Future<Output = ()>;
}

struct Unit {
    name: UnitName,
    bucket: Bucket,
    /// What is being done to it, and for which front.
    running: Option<(u32, Order)>,
    /// What a front that came after that one's crash wants done next, and which.
    next: Option<(u32, Order)>,
    /// The log knows already that the limit is reached.
    told: bool,
}

/// What the monitor serves with.
#[derive(Debug)]
pub struct Service {
    units: Vec<(UnitName, Bucket)>,
    stored_limits: StoredLimits,
    fronts: Fronts,
}

impl Service {
    /// With each unit of `policy` as far from its limit as `missing` says.
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

/// Serves the front until it leaves, and lets what is under way end. A front that crashes is replaced at once, as long as
/// there is another. When `stop` comes or the policy changes, nothing more is
/// begun and the front is told to drain; while the host shuts down nothing is waited for long.
///
/// # Errors
/// The front said what no front says, does not listen or not leave, or the last one crashed.
pub async fn serve<M: Manager>(
    service: Service,
    manager: Arc<M>,
    stop: impl Future<Output = ()>,
    changes: impl Changes,
) -> io::Result<()> {
    let Service {
        units,
        stored_limits,
        mut fronts,
    } = service;
    let unit = |(name, bucket)| Unit {
        name,
        bucket,
        running: None,
        next: None,
        told: false,
    };
    let mut work = Work {
        units: units.into_iter().map(unit).collect(),
        stored_limits,
        manager: Arc::clone(&manager),
        jobs: JoinSet::new(),
        front: 0,
        draining: false,
    };
    let mut pair = fronts.next().await?;
    tokio::pin!(stop);
    let mut stopping = false;
    let mut ended: Option<io::Result<()>> = None;
    // When the host is next asked whether it shuts down; when jobs are given up; when the front must have left.
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
                    if buffer == LEAVE {
                        ended = Some(Ok(()));
                        continue;
                    }
                    if buffer == IS_CURRENT {
                        match work.draining || changes.have_come() {
                            true => work.drain(&mut leave_by),
                            false => vec![MonitorReply::Current],
                        }
                    } else if let Some(word) = work.take(&buffer) {
                        word.into_iter().collect()
                    } else {
                        let why = "the front sent an order that makes no sense";
                        ended = Some(Err(io::Error::other(why)));
                        continue;
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

/// Says `words` to the front; `false` if it does not take them. A front that reads nothing must not keep records,
/// other fronts or a stop waiting.
async fn tell(pair: &mut UnixStream, words: &[MonitorReply]) -> bool {
    for word in words {
        let told = timeout(TAKE, pair.write_all(&word.encode())).await;
        // One that is gone shows at the next read, after what it has still sent.
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

/// The units and what is being done to them.
struct Work<M> {
    units: Vec<Unit>,
    stored_limits: StoredLimits,
    manager: Arc<M>,
    jobs: JoinSet<(u32, Order, Report)>,
    /// Which front is served, by number.
    front: u32,
    /// Nothing is begun any more: the front's policy is not the one on disk, or the service is to stop.
    draining: bool,
}

impl<M: Manager> Work<M> {
    /// From now on nothing is begun, and the front is to leave.
    fn drain(&mut self, leave_by: &mut Option<Instant>) -> Vec<MonitorReply> {
        self.draining = true;
        leave_by.get_or_insert_with(|| Instant::now() + DRAIN);
        vec![MonitorReply::Drain]
    }

    /// Has another front serve in the place of one that has crashed; what to say to it first.
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

    /// Takes an order: what to say to it at once, if anything. `None` if there is no such unit or verb, or if this
    /// front has the unit acted on already: one that is itself waits for that.
    fn take(&mut self, bytes: &[u8; ORDER]) -> Option<Option<MonitorReply>> {
        let order = Order::decode(bytes)?;
        let unit = self.units.get_mut(usize::try_from(order.unit).ok()?)?;
        match (unit.running, unit.next) {
            (Some((front, _)), _) | (_, Some((front, _))) if front == self.front => None,
            // For a front that has crashed since.
            (Some(_), _) => {
                unit.next = Some((self.front, order));
                Some(None)
            }
            (None, _) => Some(self.begin(order)),
        }
    }

    /// Has systemd carry the order out, or says how long the order must wait.
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
        // Before anything is asked of systemd: whatever becomes of this process, it is written down.
        audit::begun(&order, &unit.name);
        (unit.running, unit.told) = (Some((self.front, order)), false);
        let (name, manager, front) = (unit.name.clone(), Arc::clone(&self.manager), self.front);
        let act = async move { (front, order, manager.act(order.verb, &name).await) };
        self.jobs.spawn(act);
        Some(MonitorReply::Accepted(order.id))
    }

    /// Writes down what came of an order. What to say to the front that is served now: its answer, if it was
    /// that one's order, and what comes of the order that waited for this.
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
        // Nobody waits any more for what a front that has crashed since had asked for.
        let next = next.filter(|(front, _)| *front == self.front);
        words.extend(next.and_then(|(_, next)| self.begin(next)));
        words
    }

    /// Only root can stop the service, and whoever does means to begin anew.
    fn forget_limits(&self) {
        for index in 0..self.units.len() {
            // What cannot be written now holds on for a while longer.
            let _ = self.stored_limits.store(index, Duration::ZERO);
        }
    }

    /// Ends the waiting for jobs whose end nobody will see, with a record and an answer for each.
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
