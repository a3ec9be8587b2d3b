//! The process that stays root, without capabilities. It reads fixed-size orders, holds the limit
//! of each unit, and has systemd do what the policy knows by index. It reads no client's byte.

pub mod bus;
pub mod fronts;
pub mod kept;
pub mod limit;
pub mod watch;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use pp_protocol::{JobResult, Report, UnitName, Verb};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::audit;
use crate::pair::{IS_CURRENT, LEAVE, ORDER, Order, Word};
use crate::policy::Policy;
use fronts::Fronts;
use kept::Kept;
use limit::Bucket;

/// How long jobs are waited for while the host shuts down: systemd cancels or finishes them without us.
const SHUTDOWN: Duration = Duration::from_secs(2);

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
    /// What a front that came after that one's crash wants done next.
    next: Option<Order>,
    /// The log knows already that the limit is reached.
    told: bool,
}

/// What the monitor serves with.
#[derive(Debug)]
pub struct Service {
    units: Vec<(UnitName, Bucket)>,
    kept: Kept,
    fronts: Fronts,
}

impl Service {
    /// With each unit of `policy` as far from its limit as `missing` says.
    #[must_use]
    pub fn new(policy: &Policy, (kept, missing): (Kept, Vec<Duration>), fronts: Fronts) -> Self {
        let now = Instant::now();
        let missing = missing.into_iter().chain(std::iter::repeat(Duration::ZERO));
        let bucket = |(unit, missing): (&crate::policy::Unit, _)| {
            (unit.name.clone(), Bucket::missing(unit.limit, now, missing))
        };
        Self {
            units: policy.units.iter().zip(missing).map(bucket).collect(),
            kept,
            fronts,
        }
    }
}

/// Serves the front until it leaves, and lets what is under way end. A front that crashes is replaced at
/// once, as long as there is another. When `stop` comes or the policy changes, the front is told to drain; while
/// the host shuts down nothing is waited for long.
///
/// # Errors
/// The front said what no front says, or the last one crashed.
pub async fn serve<M: Manager>(
    service: Service,
    manager: Arc<M>,
    stop: impl Future<Output = ()>,
    changes: impl Changes,
) -> io::Result<()> {
    let Service {
        units,
        kept,
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
        kept,
        manager: Arc::clone(&manager),
        jobs: JoinSet::new(),
        front: 0,
    };
    let mut pair = fronts.next().await?;
    tokio::pin!(stop);
    let (mut stopping, mut draining, mut give_up) = (false, false, None);
    let (mut buffer, mut have) = ([0; ORDER], 0);
    let ended = loop {
        let space = buffer.get_mut(have..).unwrap_or_default();
        let words = tokio::select! {
            () = &mut stop, if !stopping => {
                (stopping, draining) = (true, true);
                work.forget_limits();
                if manager.is_shutting_down().await {
                    give_up = Some(Instant::now() + SHUTDOWN);
                }
                vec![Word::Drain]
            }
            () = changes.come(), if !draining => {
                draining = changes.have_come();
                draining.then_some(Word::Drain).into_iter().collect()
            }
            () = sleep_until(give_up.unwrap_or_else(Instant::now)), if give_up.is_some() => {
                give_up = None;
                work.give_up()
            }
            Some(done) = work.jobs.join_next() => match done {
                Ok((front, order, report)) => work.finished(front, order, report),
                Err(error) => break Err(io::Error::other(error)),
            },
            read = pair.read(space) => match read {
                Ok(n @ 1..) => {
                    have += n;
                    if have < ORDER {
                        continue;
                    }
                    have = 0;
                    if buffer == LEAVE {
                        break Ok(());
                    }
                    if buffer == IS_CURRENT {
                        draining = draining || changes.have_come();
                        vec![if draining { Word::Drain } else { Word::Current }]
                    } else if let Some(word) = work.take(&buffer) {
                        word.into_iter().collect()
                    } else {
                        break Err(io::Error::other("the front sent an order that makes no sense"));
                    }
                }
                _ => {
                    audit::alarm("front", "the process that faces callers has crashed");
                    match fronts.next().await {
                        Ok(next) => pair = next,
                        Err(error) => break Err(error),
                    }
                    (work.front, have) = (work.front + 1, 0);
                    draining.then_some(Word::Drain).into_iter().collect()
                }
            }
        };
        for word in words {
            // A front that is gone shows at the next read.
            let _ = pair.write_all(&word.encode()).await;
        }
    };
    drop((pair, fronts));
    // What a front that has crashed had begun.
    while let Some(Ok((front, order, report))) = work.jobs.join_next().await {
        work.finished(front, order, report);
    }
    ended
}

/// The units and what is being done to them.
struct Work<M> {
    units: Vec<Unit>,
    kept: Kept,
    manager: Arc<M>,
    jobs: JoinSet<(u32, Order, Report)>,
    /// Which front is served, by number.
    front: u32,
}

impl<M: Manager> Work<M> {
    /// Takes an order: what to say to it at once, if anything. `None` if there is no such unit or verb, or if this
    /// front has the unit acted on already: one that is itself waits for that.
    fn take(&mut self, bytes: &[u8; ORDER]) -> Option<Option<Word>> {
        let order = Order::decode(bytes)?;
        let unit = self.units.get_mut(usize::try_from(order.unit).ok()?)?;
        match unit.running {
            Some((front, _)) if front == self.front => None,
            // For a front that has crashed since.
            Some(_) => {
                unit.next = Some(order);
                Some(None)
            }
            None => Some(self.begin(order)),
        }
    }

    /// Has systemd do it, or says how long it must wait.
    fn begin(&mut self, order: Order) -> Option<Word> {
        let index = usize::try_from(order.unit).ok()?;
        let unit = self.units.get_mut(index)?;
        let now = Instant::now();
        if let Err(wait) = unit.bucket.take(now) {
            if !std::mem::replace(&mut unit.told, true) {
                audit::limited(&order, &unit.name, wait);
            }
            return Some(Word::Busy(order.id, wait));
        }
        if let Err(error) = self.kept.keep(index, unit.bucket.until_full(now)) {
            audit::alarm("limits", &format!("{}: {error}", kept::FILE));
        }
        (unit.running, unit.told) = (Some((self.front, order)), false);
        let (name, manager, front) = (unit.name.clone(), Arc::clone(&self.manager), self.front);
        let act = async move { (front, order, manager.act(order.verb, &name).await) };
        self.jobs.spawn(act);
        None
    }

    /// Writes down what came of an order. What to say to the front that is served now: its answer, if it was
    /// that one's order, and what comes of the order that waited for this.
    fn finished(&mut self, front: u32, order: Order, report: Report) -> Vec<Word> {
        let mut words = Vec::new();
        let index = usize::try_from(order.unit).ok();
        let next = index
            .and_then(|index| self.units.get_mut(index))
            .and_then(|unit| {
                audit::job(&order, &unit.name, &report);
                unit.running = None;
                unit.next.take()
            });
        if front == self.front {
            words.push(Word::Finished(order.id, report));
        }
        words.extend(next.and_then(|next| self.begin(next)));
        words
    }

    /// Only root can stop the service, and whoever does means to begin anew.
    fn forget_limits(&self) {
        for index in 0..self.units.len() {
            // What cannot be written now holds on for a while longer.
            let _ = self.kept.keep(index, Duration::ZERO);
        }
    }

    /// Ends the waiting for jobs whose end nobody will see, with a record and an answer for each.
    fn give_up(&mut self) -> Vec<Word> {
        self.jobs = JoinSet::new();
        let mut words = Vec::new();
        let unseen = Report {
            job: JobResult::Unknown,
            ..Report::unseen()
        };
        for unit in &mut self.units {
            unit.next = None;
            if let Some((front, order)) = unit.running.take() {
                audit::job(&order, &unit.name, &unseen);
                let served = front == self.front;
                words.extend(served.then(|| Word::Finished(order.id, unseen.clone())));
            }
        }
        words
    }
}
