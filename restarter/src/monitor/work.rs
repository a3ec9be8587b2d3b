//! The units of the policy and the jobs under way for them: what an order of the front leads to. Waits for
//! nothing by itself; the loop that does is [`super::serve`].

use std::io;
use std::sync::Arc;
use std::time::Duration;

use pp_protocol::{JobResult, Report, UnitName};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::fronts::Fronts;
use super::limit::Bucket;
use super::manager::{Changes, Manager};
use super::stored_limits::{self, StoredLimits};
use crate::audit;
use crate::pair::{IS_CURRENT, LEAVE, MonitorReply, ORDER, Order};
use crate::policy::Policy;

/// How long a front may take to leave after it was told to drain: it waits for one job at most, which
/// [`Systemd`](super::bus::Systemd) bounds at 200 s.
const DRAIN: Duration = Duration::from_secs(220);

/// Most jobs at once: as many as the front serves connections, so only a front that was taken over by an
/// attacker ever wants more.
const JOBS: usize = 16;

/// The wait that the reply names if an order cannot be begun for another reason than its unit's limit.
const LATER: Duration = Duration::from_secs(1);

struct Unit {
    name: UnitName,
    bucket: Bucket,
    /// The order that is being carried out, and the number of the front that sent it.
    running: Option<(u32, Order)>,
    /// The order to begin after `running`, and the number of the front that sent it. Only used if the front
    /// that sent `running` has crashed: its successor does not know of that order and may send one.
    next: Option<(u32, Order)>,
    /// Whether it is already in the log that the limit is reached.
    limit_logged: bool,
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

/// What a message of the front leads to.
pub(super) enum Received {
    /// The monitor sends these replies.
    Replies(Vec<MonitorReply>),
    /// The service ends: the front leaves as intended, or has sent what an intact front never sends.
    End(io::Result<()>),
}

/// The units, and the jobs that are under way for them.
pub(super) struct UnitJobs<M> {
    units: Vec<Unit>,
    stored_limits: StoredLimits,
    manager: Arc<M>,
    pub(super) jobs: JoinSet<(u32, Order, Report)>,
    /// The number of the front that is served now.
    front: u32,
    /// Whether nothing is begun any more: the front's policy is not the one on disk, or the service is to stop.
    pub(super) draining: bool,
}

impl<M: Manager> UnitJobs<M> {
    /// Returns the work for the units of `service`, with no job under way, and the fronts of `service`.
    pub(super) fn new(service: Service, manager: Arc<M>) -> (Self, Fronts) {
        let unit = |(name, bucket)| Unit {
            name,
            bucket,
            running: None,
            next: None,
            limit_logged: false,
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
    pub(super) fn receive(
        &mut self,
        message: &[u8; ORDER],
        changes: &impl Changes,
        leave_by: &mut Option<Instant>,
    ) -> Received {
        if *message == LEAVE {
            return Received::End(Ok(()));
        }
        if *message == IS_CURRENT {
            return Received::Replies(match self.draining || changes.are_there() {
                true => self.drain(leave_by),
                false => vec![MonitorReply::Current],
            });
        }
        match self.accept_order(message) {
            Some(reply) => Received::Replies(reply.into_iter().collect()),
            None => {
                let why = "the front sent an order that makes no sense";
                Received::End(Err(io::Error::other(why)))
            }
        }
    }

    /// Begins nothing from now on, sets the time by which the front must have left, and returns the reply that
    /// tells the front to leave.
    pub(super) fn drain(&mut self, leave_by: &mut Option<Instant>) -> Vec<MonitorReply> {
        self.draining = true;
        leave_by.get_or_insert_with(|| Instant::now() + DRAIN);
        vec![MonitorReply::Drain]
    }

    /// Makes another front serve in place of one that has crashed. Returns the first replies to the new front.
    pub(super) async fn replace(
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
    fn accept_order(&mut self, bytes: &[u8; ORDER]) -> Option<Option<MonitorReply>> {
        let order = Order::decode(bytes)?;
        let unit = self.units.get_mut(usize::try_from(order.unit).ok()?)?;
        match (unit.running, unit.next) {
            (Some((front, _)), _) | (_, Some((front, _))) if front == self.front => None,
            // The order under way is one of a front that has crashed since, so this order waits for its end.
            (Some(_), _) => {
                unit.next = Some((self.front, order));
                Some(None)
            }
            (None, _) => Some(self.start_job(order)),
        }
    }

    /// Asks systemd to carry the order out, or returns a reply that says how long to wait.
    fn start_job(&mut self, order: Order) -> Option<MonitorReply> {
        let index = usize::try_from(order.unit).ok()?;
        let unit = self.units.get_mut(index)?;
        if self.draining || self.jobs.len() >= JOBS {
            return Some(MonitorReply::Busy(order.id, LATER));
        }
        let now = Instant::now();
        if let Err(wait) = unit.bucket.take(now) {
            if !std::mem::replace(&mut unit.limit_logged, true) {
                audit::limited(&order, &unit.name, wait);
            }
            return Some(MonitorReply::Busy(order.id, wait));
        }
        if let Err(error) = self.stored_limits.store(index, unit.bucket.until_full(now)) {
            audit::alarm("limits", &format!("{}: {error}", stored_limits::FILE));
        }
        // Before systemd is asked: even if this process ends now, the log has a record of the restart.
        audit::begun(&order, &unit.name);
        (unit.running, unit.limit_logged) = (Some((self.front, order)), false);
        let (name, manager, front) = (unit.name.clone(), Arc::clone(&self.manager), self.front);
        let act = async move { (front, order, manager.act(order.verb, &name).await) };
        self.jobs.spawn(act);
        Some(MonitorReply::Accepted(order.id))
    }

    /// Logs the result of an order, and begins the order that waited for its end. Returns the replies to the
    /// front that is served now: the result, if this front sent the order, and the reply to the order that waited.
    pub(super) fn finished(
        &mut self,
        front: u32,
        order: Order,
        report: Report,
    ) -> Vec<MonitorReply> {
        let mut replies = Vec::new();
        let index = usize::try_from(order.unit).ok();
        let unit = index.and_then(|index| self.units.get_mut(index));
        let next = unit.and_then(|unit| {
            audit::job(&order, &unit.name, &report);
            unit.running = None;
            unit.next.take()
        });
        if front == self.front {
            replies.push(MonitorReply::Finished(order.id, report));
        }
        // An order of a front that has crashed since is dropped, as its callers do not wait any more.
        let next = next.filter(|(front, _)| *front == self.front);
        replies.extend(next.and_then(|(_, next)| self.start_job(next)));
        replies
    }

    /// Resets the stored limit of every unit. This happens on a stop of the service: only root can stop it, and
    /// then wants a fresh start.
    pub(super) fn forget_limits(&self) {
        for index in 0..self.units.len() {
            // If this cannot be written, the unit's old limit merely holds until it has filled up.
            let _ = self.stored_limits.store(index, Duration::ZERO);
        }
    }

    /// Stops waiting for jobs whose end will not be seen. Writes a record and returns a reply for each.
    pub(super) fn give_up(&mut self) -> Vec<MonitorReply> {
        self.jobs = JoinSet::new();
        let mut replies = Vec::new();
        let unseen = Report {
            job: JobResult::Unknown,
            ..Report::unseen()
        };
        for unit in &mut self.units {
            let waiting = unit.next.take().filter(|(front, _)| *front == self.front);
            replies.extend(waiting.map(|(_, order)| MonitorReply::Busy(order.id, LATER)));
            if let Some((front, order)) = unit.running.take() {
                audit::job(&order, &unit.name, &unseen);
                let served = front == self.front;
                replies.extend(served.then(|| MonitorReply::Finished(order.id, unseen.clone())));
            }
        }
        replies
    }
}
