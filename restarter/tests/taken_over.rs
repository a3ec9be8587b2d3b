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
use std::time::Duration;

use common::{Fake, mine};
use pp_protocol::Verb;
use pp_restarter::monitor;
use pp_restarter::pair::{Order, WORD, Word};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::Instant;

struct Taken {
    pair: UnixStream,
    fake: Arc<Fake>,
    monitor: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Taken {
    fn new(takes: Duration) -> Self {
        let (pair, theirs) = UnixStream::pair().unwrap();
        let fake = Fake::taking(takes);
        let manager = Arc::clone(&fake);
        let policy = mine(&["todo.service", "other.service"]);
        let monitor = tokio::spawn(async move {
            monitor::serve(theirs, &policy, manager, std::future::pending()).await
        });
        Self {
            pair,
            fake,
            monitor,
        }
    }

    async fn say(&mut self, id: u64, unit: u32) {
        let verb = Verb::Restart;
        self.pair
            .write_all(&Order { id, unit, verb }.encode())
            .await
            .unwrap();
    }

    async fn hear(&mut self) -> Option<Word> {
        let mut bytes = [0; WORD];
        self.pair.read_exact(&mut bytes).await.ok()?;
        Word::decode(&bytes)
    }
}

#[tokio::test(start_paused = true)]
async fn rule_17_a_taken_over_front_cannot_loop_restarts() {
    let mut taken = Taken::new(Duration::ZERO);
    let (mut done, mut busy) = (0, 0);
    for id in 0..1000 {
        taken.say(id, 0).await;
        match taken.hear().await.unwrap() {
            Word::Finished(answered, _) if answered == id => done += 1,
            Word::Busy(answered, wait) if answered == id => {
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
async fn rule_17_a_front_that_crashes_does_not_reset_the_limits() {
    let mut taken = Taken::new(Duration::ZERO);
    let start = Instant::now();
    for id in 0..3 {
        taken.say(id, 0).await;
        assert!(matches!(taken.hear().await, Some(Word::Finished(..))));
    }
    drop(taken.pair);
    taken.monitor.await.unwrap().unwrap();
    let stayed = start.elapsed();
    assert!(
        (44..=46).contains(&stayed.as_secs()),
        "{stayed:?}: until three tokens are back"
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
