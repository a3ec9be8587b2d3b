//! The process that stays root, without capabilities. It reads fixed-size orders, holds the limit
//! of each unit, and has systemd do what the policy knows by index. It reads no client's byte.

pub mod bus;
pub mod limit;

use std::io;
use std::sync::Arc;

use pp_protocol::{Report, UnitName, Verb};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::audit;
use crate::pair::{ORDER, Order, Word};
use crate::policy::{Limit, Policy};
use limit::Bucket;

/// Whoever can restart units: systemd, or a fake one in tests.
pub trait Manager: Send + Sync + 'static {
    /// Does `verb` to `unit`, once, and reports what was seen.
    fn act(&self, verb: Verb, unit: &UnitName) -> impl Future<Output = Report> + Send;
}

struct Unit {
    name: UnitName,
    bucket: Bucket,
    running: bool,
    /// The log knows already that the limit is reached.
    told: bool,
}

/// Serves the front until it is gone, lets what is under way end, and then waits until every
/// limit is full again: a front that could be made to crash must not reset the limits by it.
/// When `stop` comes, the front is told to drain, and nothing is waited for after it is gone.
///
/// # Errors
/// The front said what no front says.
pub async fn serve<M: Manager>(
    mut pair: UnixStream,
    policy: &Policy,
    manager: Arc<M>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let now = Instant::now();
    let unit = |unit: &crate::policy::Unit| Unit {
        name: unit.name.clone(),
        bucket: Bucket::new(unit.limit, now),
        running: false,
        told: false,
    };
    let mut units: Vec<Unit> = policy.units.iter().map(unit).collect();
    let mut jobs = JoinSet::new();
    tokio::pin!(stop);
    let (mut stopping, mut buffer, mut have) = (false, [0; ORDER], 0);
    let ended = loop {
        let space = buffer.get_mut(have..).unwrap_or_default();
        let word = tokio::select! {
            () = &mut stop, if !stopping => {
                stopping = true;
                Word::Drain
            }
            Some(done) = jobs.join_next() => match done {
                Ok((order, report)) => finished(&mut units, order, report),
                Err(error) => break Err(io::Error::other(error)),
            },
            read = pair.read(space) => {
                match read {
                    Ok(0) => break Ok(()),
                    Ok(n) => have += n,
                    Err(error) => break Err(error),
                }
                if have < ORDER {
                    continue;
                }
                have = 0;
                let Some((order, unit)) = understand(&buffer, &mut units) else {
                    break Err(io::Error::other("the front sent an order that makes no sense"));
                };
                match unit.bucket.take(Instant::now()) {
                    Err(wait) => {
                        if !std::mem::replace(&mut unit.told, true) {
                            audit::limited(&order, &unit.name, wait);
                        }
                        Word::Busy(order.id, wait)
                    }
                    Ok(()) => {
                        (unit.running, unit.told) = (true, false);
                        let (name, manager) = (unit.name.clone(), Arc::clone(&manager));
                        jobs.spawn(async move { (order, manager.act(order.verb, &name).await) });
                        continue;
                    }
                }
            }
        };
        // A front that is gone shows at the next read.
        let _ = pair.write_all(&word.encode()).await;
    };
    drop(pair);
    while let Some(Ok((order, report))) = jobs.join_next().await {
        finished(&mut units, order, report);
    }
    let now = Instant::now();
    let refill = units.iter().map(|unit| unit.bucket.until_full(now)).max();
    if let (Some(refill), false) = (refill, stopping) {
        // The longest that any policy may say: an error here must not keep the service for ever.
        let _ = timeout(refill.min(Limit::LONGEST), stop).await;
    }
    ended
}

/// The order and the unit it is for; `None` if there is no such unit or verb, or if the unit is
/// being acted on: a front that is itself waits for that.
fn understand<'a>(bytes: &[u8; ORDER], units: &'a mut [Unit]) -> Option<(Order, &'a mut Unit)> {
    let order = Order::decode(bytes)?;
    let unit = units.get_mut(usize::try_from(order.unit).ok()?)?;
    (!unit.running).then_some((order, unit))
}

fn finished(units: &mut [Unit], order: Order, report: Report) -> Word {
    let unit = usize::try_from(order.unit)
        .ok()
        .and_then(|index| units.get_mut(index));
    if let Some(unit) = unit {
        unit.running = false;
        audit::job(&order, &unit.name, &report);
    }
    Word::Finished(order.id, report)
}
