//! Rules 15 to 17 and the end of the service: what is asked for is done once, and nothing is lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

mod common;

use std::io::Write;
use std::time::{Duration, Instant};

use common::{Fake, Rig, mine, unit};
use pp_protocol::codec::{encode_request, frame};
use pp_protocol::{Answer, Ask, Request, VERSION, Verb};

fn restart(name: &str) -> Vec<u8> {
    let ask = Ask::Act {
        verb: Verb::Restart,
        unit: name.into(),
    };
    let request = Request {
        version: VERSION,
        ask,
    };
    frame(encode_request(&request).unwrap()).unwrap().to_vec()
}

#[test]
fn rule_16_disconnecting_does_not_cancel_a_restart() {
    let rig = Rig::with(
        mine(&["todo.service"]),
        Fake::taking(Duration::from_millis(300)),
        |_| {},
    );
    let mut stream = rig.connect();
    stream.write_all(&restart("todo.service")).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    drop(stream);
    assert_eq!((rig.fake.count(), rig.fake.ended()), (1, 0));
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(rig.fake.ended(), 1);
}

#[test]
fn rule_17_two_hundred_requests_become_a_few_restarts_and_each_gets_an_answer() {
    let rig = Rig::with(
        mine(&["todo.service"]),
        Fake::taking(Duration::from_millis(50)),
        |settings| {
            settings.per_uid = 16;
        },
    );
    let clients: Vec<_> = (0..200)
        .map(|_| {
            let client = rig.client();
            std::thread::spawn(move || client.act(Verb::Restart, &unit("todo.service")))
        })
        .collect();
    let answers: Vec<Answer> = clients
        .into_iter()
        .map(|c| c.join().unwrap().unwrap())
        .collect();
    let finished = answers
        .iter()
        .filter(|a| matches!(a, Answer::Finished(_)))
        .count();
    let busy = answers
        .iter()
        .filter(|a| matches!(a, Answer::Busy(wait) if !wait.is_zero()))
        .count();
    assert_eq!(finished + busy, 200);
    assert!(finished > 3, "{finished}: several share one restart");
    assert_eq!(rig.fake.count(), 3, "the burst, and not one more");
}

#[test]
fn rule_17_who_joins_gets_a_restart_that_began_after_the_request() {
    let rig = Rig::with(
        mine(&["todo.service"]),
        Fake::taking(Duration::from_millis(300)),
        |_| {},
    );
    let ask = || {
        let client = rig.client();
        std::thread::spawn(move || client.act(Verb::Restart, &unit("todo.service")).unwrap())
    };
    let first = ask();
    std::thread::sleep(Duration::from_millis(100));
    let joined = [ask(), ask(), ask()];
    let invocation = |answer: Answer| match answer {
        Answer::Finished(report) => report.invocation[0],
        other => panic!("{other:?}"),
    };
    assert_eq!(invocation(first.join().unwrap()), 1);
    for client in joined {
        assert_eq!(invocation(client.join().unwrap()), 2);
    }
    assert_eq!(rig.fake.count(), 2);
}

#[test]
fn the_limit_says_how_long_to_wait() {
    let rig = Rig::new(mine(&["todo.service", "other.service"]));
    let ask = |name| rig.client().act(Verb::Restart, &unit(name)).unwrap();
    for _ in 0..3 {
        assert!(matches!(ask("todo.service"), Answer::Finished(_)));
    }
    let Answer::Busy(wait) = ask("todo.service") else {
        panic!("the fourth at once was taken")
    };
    assert!((14..=15).contains(&wait.as_secs()), "{wait:?}");
    assert!(
        matches!(ask("other.service"), Answer::Finished(_)),
        "each unit has its own"
    );
}

#[test]
fn it_leaves_after_the_idle_time_and_not_before() {
    let mut rig = Rig::with(
        mine(&["todo.service"]),
        Fake::taking(Duration::from_millis(600)),
        |settings| {
            settings.idle = Duration::from_millis(300);
        },
    );
    let start = Instant::now();
    let mut stream = rig.connect();
    stream.write_all(&restart("todo.service")).unwrap();
    drop(stream);
    rig.front_ended().unwrap();
    let took = start.elapsed();
    assert!(
        took >= Duration::from_millis(600),
        "{took:?}: a job was under way"
    );
    assert_eq!(rig.fake.ended(), 1);
}

#[test]
fn on_sigterm_what_was_accepted_is_finished_and_answered() {
    let mut rig = Rig::with(
        mine(&["todo.service"]),
        Fake::taking(Duration::from_millis(400)),
        |_| {},
    );
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let client = rig.client();
            std::thread::spawn(move || client.act(Verb::Restart, &unit("todo.service")))
        })
        .collect();
    std::thread::sleep(Duration::from_millis(150));
    rig.terminate();
    let start = Instant::now();
    let answers: Vec<_> = clients
        .into_iter()
        .map(|client| client.join().unwrap().unwrap())
        .collect();
    let finished = |answer: &&Answer| matches!(answer, Answer::Finished(_));
    let busy = |answer: &&Answer| matches!(answer, Answer::Busy(_));
    assert_eq!(answers.iter().filter(finished).count(), 1, "{answers:?}");
    assert_eq!(
        answers.iter().filter(busy).count(),
        2,
        "nothing more is begun: {answers:?}"
    );
    rig.front_ended().unwrap();
    rig.monitor_ended().unwrap();
    assert_eq!(rig.fake.ended(), 1, "what was begun is finished");
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "it does not wait for the limits then"
    );
}

#[test]
fn what_comes_after_the_end_stays_in_the_backlog_for_the_next_service() {
    let mut rig = Rig::new(mine(&["todo.service"]));
    rig.terminate();
    rig.front_ended().unwrap();
    let mut waiting = rig.connect();
    waiting.write_all(&restart("todo.service")).unwrap();
    rig.listener.set_nonblocking(true).unwrap();
    let (mut accepted, _) = rig
        .listener
        .accept()
        .expect("it is still there to be accepted");
    let mut request = vec![0; restart("todo.service").len()];
    std::io::Read::read_exact(&mut accepted, &mut request).unwrap();
    assert_eq!(request, restart("todo.service"), "and so is what it said");
}
