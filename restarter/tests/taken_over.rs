//! Rule 20: what a front that was taken over can get out of the monitor.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{Fake, Same, mine, service};
use pp_protocol::{JobResult, Verb};
use pp_restarter::monitor::{self, Changes};
use pp_restarter::pair::{IS_CURRENT, LEAVE, MonitorReply, Order, REPLY};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::Instant;

/// A policy that has changed on disk when a test says so.
struct Told(Arc<AtomicBool>);

impl Changes for Told {
    fn are_there(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    async fn wait(&self) {
        std::future::pending::<()>().await;
    }
}

struct Taken {
    pair: UnixStream,
    fake: Arc<Fake>,
    monitor: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Taken {
    fn new(takes: Duration) -> Self {
        Self::with(Fake::taking(takes), 1, std::future::pending()).0
    }

    /// With so many fronts, of which the first serves.
    fn with(
        fake: Arc<Fake>,
        fronts: usize,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> (Self, Vec<UnixStream>) {
        let (ours, theirs): (Vec<_>, Vec<_>) =
            (0..fronts).map(|_| UnixStream::pair().unwrap()).unzip();
        let service = service(&mine(&["todo.service", "other.service"]), theirs);
        let manager = Arc::clone(&fake);
        let monitor = tokio::spawn(monitor::serve(service, manager, stop, Same));
        let mut ours = ours.into_iter();
        let pair = ours.next().unwrap();
        (
            Self {
                pair,
                fake,
                monitor,
            },
            ours.collect(),
        )
    }

    async fn say(&mut self, id: u64, unit: u32) {
        let verb = Verb::Restart;
        self.pair
            .write_all(&Order { id, unit, verb }.encode())
            .await
            .unwrap();
    }

    /// The next reply but those that only say that an order was accepted.
    async fn hear(&mut self) -> Option<MonitorReply> {
        loop {
            match self.hear_any().await? {
                MonitorReply::Accepted(_) => {}
                reply => return Some(reply),
            }
        }
    }

    async fn hear_any(&mut self) -> Option<MonitorReply> {
        let mut bytes = [0; REPLY];
        self.pair.read_exact(&mut bytes).await.ok()?;
        MonitorReply::decode(&bytes)
    }
}

#[tokio::test(start_paused = true)]
async fn rule_38_an_order_is_accepted_before_its_job_ends_and_one_beyond_the_limit_never_is() {
    let mut taken = Taken::new(Duration::from_secs(1));
    for id in 0..3 {
        taken.say(id, 0).await;
        assert_eq!(taken.hear_any().await, Some(MonitorReply::Accepted(id)));
        assert_eq!(taken.fake.ended() as u64, id, "the job is still running");
        let finished = taken.hear_any().await;
        assert!(matches!(finished, Some(MonitorReply::Finished(n, _)) if n == id));
    }
    taken.say(3, 0).await;
    let busy = taken.hear_any().await;
    assert!(matches!(busy, Some(MonitorReply::Busy(3, _))), "{busy:?}");
}

#[tokio::test(start_paused = true)]
async fn rule_17_a_taken_over_front_cannot_loop_restarts() {
    let mut taken = Taken::new(Duration::ZERO);
    let (mut done, mut busy) = (0, 0);
    for id in 0..1000 {
        taken.say(id, 0).await;
        match taken.hear().await.unwrap() {
            MonitorReply::Finished(answered, _) if answered == id => done += 1,
            MonitorReply::Busy(answered, wait) if answered == id => {
                assert!(wait <= Duration::from_secs(15));
                busy += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((done, busy, taken.fake.count()), (3, 997, 3));
}

#[tokio::test(start_paused = true)]
async fn rule_20_a_unit_beyond_the_policy_ends_the_service() {
    for (bytes, why) in [
        (
            Order {
                id: 1,
                unit: 2,
                verb: Verb::Restart,
            }
            .encode(),
            "no such unit",
        ),
        (
            Order {
                id: 1,
                unit: u32::MAX,
                verb: Verb::Restart,
            }
            .encode(),
            "no such unit",
        ),
        ([0xff; 13], "no such verb"),
    ] {
        let mut taken = Taken::new(Duration::ZERO);
        taken.pair.write_all(&bytes).await.unwrap();
        assert_eq!(taken.hear().await, None, "{why}");
        let error = taken.monitor.await.unwrap().unwrap_err();
        assert!(
            error.to_string().contains("makes no sense"),
            "{why}: {error}"
        );
        assert_eq!(taken.fake.count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn rule_20_a_second_order_for_a_running_unit_ends_the_service_but_not_the_restart() {
    let mut taken = Taken::new(Duration::from_secs(1));
    taken.say(1, 0).await;
    taken.say(2, 0).await;
    assert_eq!(taken.hear().await, None);
    assert!(taken.monitor.await.unwrap().is_err());
    assert_eq!((taken.fake.count(), taken.fake.ended()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn rule_41_a_front_that_crashes_is_replaced_at_once_and_resets_no_limit() {
    let (mut taken, mut others) =
        Taken::with(Fake::taking(Duration::ZERO), 2, std::future::pending());
    for id in 0..3 {
        taken.say(id, 0).await;
        assert!(matches!(
            taken.hear().await,
            Some(MonitorReply::Finished(..))
        ));
    }
    taken.pair = others.remove(0);
    taken.say(1, 0).await;
    assert!(matches!(taken.hear().await, Some(MonitorReply::Busy(1, _))));
    taken.say(2, 1).await;
    assert!(matches!(
        taken.hear().await,
        Some(MonitorReply::Finished(2, _))
    ));
    drop(taken.pair);
    let error = taken.monitor.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("no process is left"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn rule_41_the_next_front_gets_no_answer_of_the_one_before_and_waits_for_its_job() {
    let fake = Fake::taking(Duration::from_secs(5));
    let (mut taken, mut others) = Taken::with(fake, 2, std::future::pending());
    let start = Instant::now();
    taken.say(1, 0).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    taken.pair = others.remove(0);
    taken.say(7, 0).await;
    assert!(matches!(
        taken.hear().await,
        Some(MonitorReply::Finished(7, _))
    ));
    assert_eq!(taken.fake.count(), 2);
    assert!(
        start.elapsed() >= Duration::from_secs(10),
        "one after the other"
    );
}

#[tokio::test(start_paused = true)]
async fn rule_41_what_a_front_had_asked_for_that_has_crashed_too_is_nobodys() {
    let fake = Fake::taking(Duration::from_secs(5));
    let (mut taken, mut others) = Taken::with(fake, 3, std::future::pending());
    taken.say(1, 0).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    taken.pair = others.remove(0);
    taken.say(1, 0).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    taken.pair = others.remove(0);
    // The third one's first order has the same number and is for another unit.
    taken.say(1, 1).await;
    let Some(MonitorReply::Finished(1, _)) = taken.hear().await else {
        panic!("its own")
    };
    assert_eq!(taken.fake.acts(), ["todo.service", "other.service"]);
    taken.say(2, 0).await;
    assert!(matches!(
        taken.hear().await,
        Some(MonitorReply::Finished(2, _))
    ));
}

#[tokio::test(start_paused = true)]
async fn rule_38_a_front_that_does_not_listen_keeps_no_record_and_no_stop_waiting() {
    let stop = tokio::time::sleep(Duration::from_secs(30));
    let (mut taken, _) = Taken::with(Fake::taking(Duration::from_secs(5)), 1, stop);
    taken.say(1, 0).await;
    for _ in 0..100_000 {
        // Its answers fill the socket, which nobody empties.
        let asked = taken.pair.write_all(&IS_CURRENT);
        if tokio::time::timeout(Duration::from_secs(20), asked)
            .await
            .is_err()
        {
            break;
        }
    }
    let ended = tokio::time::timeout(Duration::from_secs(60), taken.monitor).await;
    let error = ended.unwrap().unwrap().unwrap_err();
    assert!(error.to_string().contains("does not take"), "{error}");
    assert_eq!(
        taken.fake.ended(),
        1,
        "the job was waited for, and written down"
    );
}

#[tokio::test(start_paused = true)]
async fn rule_41_a_front_that_does_not_leave_is_left() {
    let stop = tokio::time::sleep(Duration::from_millis(10));
    let (mut taken, _) = Taken::with(Fake::taking(Duration::ZERO), 1, stop);
    let start = Instant::now();
    assert_eq!(taken.hear().await, Some(MonitorReply::Drain));
    // It goes on as if nothing had been said.
    taken.say(1, 0).await;
    assert!(
        matches!(taken.hear().await, Some(MonitorReply::Busy(1, _))),
        "nothing is begun any more"
    );
    let error = taken.monitor.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("did not leave"), "{error}");
    assert!(
        start.elapsed() <= Duration::from_secs(221),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(taken.fake.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn rule_42_after_a_change_nothing_of_the_old_policy_is_begun() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let fake = Fake::taking(Duration::from_secs(5));
    let manager = Arc::clone(&fake);
    let changed = Arc::new(AtomicBool::new(false));
    let changes = Told(Arc::clone(&changed));
    let service = service(&mine(&["todo.service", "other.service"]), [theirs]);
    let monitor = tokio::spawn(monitor::serve(
        service,
        manager,
        std::future::pending(),
        changes,
    ));
    let mut taken = Taken {
        pair: ours,
        fake,
        monitor,
    };
    taken.pair.write_all(&IS_CURRENT).await.unwrap();
    assert_eq!(taken.hear().await, Some(MonitorReply::Current));
    taken.say(1, 0).await;
    changed.store(true, Ordering::Relaxed);
    taken.pair.write_all(&IS_CURRENT).await.unwrap();
    assert_eq!(taken.hear().await, Some(MonitorReply::Drain));
    taken.say(2, 1).await;
    assert!(matches!(taken.hear().await, Some(MonitorReply::Busy(2, _))));
    assert!(
        matches!(taken.hear().await, Some(MonitorReply::Finished(1, _))),
        "what was begun ends"
    );
    taken.pair.write_all(&LEAVE).await.unwrap();
    taken.monitor.await.unwrap().unwrap();
    assert_eq!(taken.fake.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn rule_40_a_poweroff_that_comes_after_a_stop_is_seen() {
    let mut fake = Fake::default();
    fake.takes = Duration::from_secs(150);
    fake.shuts_down_after = Some(Duration::from_secs(10));
    let fake = Arc::new(fake);
    let stop = tokio::time::sleep(Duration::from_millis(10));
    let (mut taken, _) = Taken::with(fake, 1, stop);
    let start = Instant::now();
    taken.say(1, 0).await;
    assert_eq!(taken.hear().await, Some(MonitorReply::Drain));
    assert!(matches!(
        taken.hear().await,
        Some(MonitorReply::Finished(1, _))
    ));
    assert!(
        (10..14).contains(&start.elapsed().as_secs()),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn rule_41_a_stop_waits_for_jobs_and_a_shutdown_does_not() {
    for (shutting_down, seconds) in [(false, 60), (true, 2)] {
        let mut fake = Fake::default();
        (fake.takes, fake.shutting_down) = (Duration::from_secs(60), shutting_down);
        let fake = Arc::new(fake);
        let stop = tokio::time::sleep(Duration::from_millis(10));
        let (mut taken, _) = Taken::with(fake, 1, stop);
        let start = Instant::now();
        taken.say(1, 0).await;
        assert_eq!(taken.hear().await, Some(MonitorReply::Drain));
        let Some(MonitorReply::Finished(1, seen)) = taken.hear().await else {
            panic!("whoever waits is answered");
        };
        assert_eq!(seen.job == JobResult::Unknown, shutting_down);
        taken.pair.write_all(&LEAVE).await.unwrap();
        taken.monitor.await.unwrap().unwrap();
        assert_eq!(start.elapsed().as_secs(), seconds, "{shutting_down}");
    }
}

#[tokio::test(start_paused = true)]
async fn rule_41_a_front_that_leaves_in_order_is_not_replaced() {
    let (mut taken, mut others) =
        Taken::with(Fake::taking(Duration::ZERO), 2, std::future::pending());
    taken.pair.write_all(&LEAVE).await.unwrap();
    taken.monitor.await.unwrap().unwrap();
    assert_eq!(
        others[0].read(&mut [0]).await.unwrap(),
        0,
        "nobody takes its place"
    );
}

#[tokio::test(start_paused = true)]
async fn different_units_do_not_wait_for_each_other() {
    let mut taken = Taken::new(Duration::from_secs(1));
    let start = Instant::now();
    taken.say(1, 0).await;
    taken.say(2, 1).await;
    assert!(taken.hear().await.is_some() && taken.hear().await.is_some());
    assert!(start.elapsed() < Duration::from_millis(1100));
}

#[tokio::test(start_paused = true)]
async fn half_an_order_does_nothing() {
    let mut taken = Taken::new(Duration::ZERO);
    let order = Order {
        id: 1,
        unit: 0,
        verb: Verb::Restart,
    }
    .encode();
    taken.pair.write_all(&order[..12]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(taken.fake.count(), 0);
    taken.pair.write_all(&order[12..]).await.unwrap();
    assert!(taken.hear().await.is_some());
}
