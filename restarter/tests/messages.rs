//! Rules 12 to 14: what a message can do to the front.
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

use common::{Fake, Rig, client_as, drain, is_root, mine, policy, unit};
use pp_protocol::{Answer, Verb};
use pp_restarter::front::Settings;
use pp_restarter::policy::Who;

const NOTHING: [u8; 0] = [];

fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn rule_12_what_is_not_one_whole_request_is_closed_without_an_answer() {
    let rig = Rig::new(mine(&["todo.service"]));
    let whole = [0, 0, 0, 2, 1, 1];
    for bytes in [
        &[0xff, 0xff, 0xff, 0xff][..],               // 4 GiB
        &[0, 0, 4, 1],                               // 1,025
        &[0, 0, 0, 0],                               // nothing
        &[0, 0, 0, 2, 2, 1],                         // another version
        &[0, 0, 0, 2, 1, 9],                         // no such request
        &[0, 0, 0, 3, 1, 1, 0],                      // a byte too many in the frame
        &[0, 0, 0, 2, 1, 1, 0],                      // a byte too many behind it
        &[whole, whole].concat(),                    // two requests
        &[0, 0, 0, 7, 1, 0, 0, 3, 0xff, 0xfe, 0xfd], // a name that is not UTF-8
        &[
            0, 0, 0, 12, 1, 0, 0, 253, 255, 255, 255, 255, 255, 255, 255, 255,
        ], // a name of 2^64-1
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(rig.raw(bytes), NOTHING, "{bytes:02x?}");
    }
    for truncated in [&[][..], &[0, 0], &[0, 0, 0, 2, 1]] {
        let mut stream = rig.connect();
        stream.write_all(truncated).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(drain(&mut stream), NOTHING, "{truncated:02x?}");
    }
    assert_eq!(rig.fake.count(), 0);
    assert!(rig.client().list().is_ok(), "and it still serves");
}

#[test]
fn rule_12_announcing_much_costs_no_memory() {
    let rig = Rig::new(mine(&["todo.service"]));
    for _ in 0..100 {
        rig.raw(&[0xff, 0xff, 0xff, 0xff]);
    }
    let grown = || {
        let before = memory();
        for _ in 0..2000 {
            rig.raw(&[0xff, 0xff, 0xff, 0xff]);
            rig.raw(&[0, 0, 4, 1]);
        }
        memory().saturating_sub(before)
    };
    // Tests beside this one take memory, too, once; what is never given back is taken in each round.
    let rounds: Vec<_> = (0..5).map(|_| grown()).collect();
    let least = rounds.iter().min();
    assert!(
        least < Some(&1024),
        "kB more after 4,000 of them: {rounds:?}"
    );
}

#[test]
fn rule_14_who_says_nothing_is_closed_after_two_seconds() {
    assert_eq!(
        Settings::for_policy(&mine(&[])).request,
        Duration::from_secs(2)
    );
    let time = Duration::from_millis(300);
    let rig = Rig::with(
        mine(&["todo.service"]),
        Fake::taking(Duration::ZERO),
        |settings| settings.request = time,
    );
    let start = Instant::now();
    let mut silent = rig.connect();
    let mut slow = rig.connect();
    slow.write_all(&[0, 0, 0, 2]).unwrap();
    assert_eq!(drain(&mut silent), NOTHING);
    assert_eq!(drain(&mut slow), NOTHING);
    assert!(start.elapsed() >= time, "closed before the time was over");
}

#[test]
fn rule_14_a_hundred_silent_connections_of_one_uid_do_not_delay_another() {
    if !is_root("rule 14") {
        return;
    }
    let other = 61_002;
    // None of the silent ones is closed while the test runs: whoever is served does not wait for them.
    let rig = Rig::with(
        policy(&["todo.service"], &[Who::User(other)]),
        Fake::taking(Duration::ZERO),
        |settings| settings.request = Duration::from_secs(600),
    );
    let silent: Vec<_> = (0..100).map(|_| rig.connect()).collect();
    let out = client_as(other, other, "", &rig.path(), &["todo.service"]);
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    drop(silent);
}

#[test]
fn rule_14_the_fifth_connection_of_a_uid_is_told_to_come_back() {
    let slow = Fake::taking(Duration::from_millis(400));
    let rig = Rig::with(mine(&["todo.service"]), slow, |_| {});
    let silent: Vec<_> = (0..4).map(|_| rig.connect()).collect();
    std::thread::sleep(Duration::from_millis(100));
    let fifth = rig
        .client()
        .act(Verb::Restart, &unit("todo.service"))
        .unwrap();
    assert_eq!(fifth, Answer::Busy(Duration::from_secs(1)));
    drop(silent);
    std::thread::sleep(Duration::from_millis(100));
    let again = rig
        .client()
        .act(Verb::Restart, &unit("todo.service"))
        .unwrap();
    assert!(matches!(again, Answer::Finished(_)), "{again:?}");
}

#[test]
fn rule_14_more_connections_than_are_served_wait_and_are_served() {
    let rig = Rig::with(
        mine(&["todo.service"]),
        Fake::taking(Duration::ZERO),
        |settings| {
            settings.connections = 2;
            settings.per_uid = 2;
            settings.request = Duration::from_millis(300);
        },
    );
    let silent: Vec<_> = (0..6).map(|_| rig.connect()).collect();
    // Three times two silent ones are before it in the backlog.
    let start = Instant::now();
    assert!(rig.client().list().is_ok());
    let waited = start.elapsed();
    assert!(
        waited >= Duration::from_millis(600),
        "{waited:?}: not in turn"
    );
    drop(silent);
}

#[test]
fn rule_14_who_does_not_take_the_reply_is_closed() {
    let mut policy = mine(&[]);
    for n in 0..4000 {
        // A list of about 1 MB: more than a socket takes.
        let name = format!("{}{n}.service", "a".repeat(230));
        policy.units.extend(mine(&[&name]).units);
    }
    let rig = Rig::new(policy);
    let mut stream = rig.connect();
    stream.write_all(&[0, 0, 0, 2, 1, 1]).unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    let got = drain(&mut stream);
    assert!(got.len() < 900_000, "{} bytes: it was cut off", got.len());
    assert!(rig.client().list().is_ok());
}
