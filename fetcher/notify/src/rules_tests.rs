//! The rules: what of a day's events a target is told.

use super::*;

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + minutes * 60).unwrap()
}

fn event(number: u32, kind: Kind, code: &str, revision: char) -> Event {
    let json = format!(
        r#"{{"schema":1,"id":"todo-{number}","at":"2026-11-27T12:00:00Z","host":"web1","app":"todo",
        "event":"{}","code":"{code}","revision":"{}","attempt":{number}}}"#,
        kind.as_str(),
        revision.to_string().repeat(40)
    );
    serde_json::from_str(&json).unwrap()
}

/// What waits to be delivered, in short; and delivers it.
fn told(memory: &mut TargetMemory) -> Vec<String> {
    let queue = std::mem::take(&mut memory.queue);
    let short = |delivery: Delivery| match delivery.news {
        News::Event(event) => format!("{} {}", event.event.as_str(), event.id),
        News::Reminder(event) => format!("reminder {}", event.id),
        News::Digest(events, count) => format!("digest of {count}, {} shown", events.len()),
    };
    queue.into_iter().map(short).collect()
}

#[test]
fn the_first_the_change_and_the_recovery_and_nothing_between() {
    let mut memory = TargetMemory::default();
    let failed = |number, revision| event(number, Kind::Failed, "build", revision);
    take(&mut memory, &failed(1, 'a'), true, at(0));
    take(&mut memory, &failed(2, 'a'), true, at(1));
    take(&mut memory, &failed(3, 'a'), true, at(2));
    assert_eq!(told(&mut memory), ["failed todo-1"]);
    take(&mut memory, &failed(4, 'b'), true, at(3));
    assert_eq!(
        told(&mut memory),
        ["failed todo-4"],
        "another revision is a change"
    );
    take(
        &mut memory,
        &event(5, Kind::TakenBack, "unhealthy", 'c'),
        true,
        at(4),
    );
    take(
        &mut memory,
        &event(6, Kind::Recovered, "unhealthy", 'd'),
        true,
        at(5),
    );
    assert_eq!(told(&mut memory), ["taken-back todo-5", "recovered todo-6"]);
    assert!(memory.problems.is_empty());
    take(&mut memory, &failed(7, 'a'), true, at(6));
    assert_eq!(
        told(&mut memory),
        ["failed todo-7"],
        "after the recovery the first again"
    );
}

#[test]
fn a_deploy_does_not_end_what_is_wrong_with_the_network() {
    let mut memory = TargetMemory::default();
    let mut away = event(1, Kind::Unreachable, "network", 'a');
    (away.attempt, away.revision) = (None, None);
    take(&mut memory, &away, true, at(0));
    take(&mut memory, &event(2, Kind::Deployed, "", 'b'), true, at(1));
    assert_eq!(memory.problems.len(), 1);
    let mut back = event(3, Kind::Reachable, "network", 'a');
    back.attempt = None;
    take(&mut memory, &back, true, at(2));
    assert!(memory.problems.is_empty());
}

#[test]
fn what_stays_wrong_is_told_once_a_day() {
    let mut memory = TargetMemory::default();
    take(
        &mut memory,
        &event(1, Kind::Stuck, "unhealthy", 'a'),
        true,
        at(0),
    );
    for hour in 0..72 {
        due(&mut memory, at(hour * 60));
    }
    let reminder = "reminder todo-1";
    assert_eq!(told(&mut memory), ["stuck todo-1", reminder, reminder]);
}

#[test]
fn a_flood_of_a_thousand_is_ten_and_a_digest() {
    let mut memory = TargetMemory::default();
    for number in 0..1000 {
        let revision = char::from(b'a' + (number % 6) as u8);
        take(
            &mut memory,
            &event(number, Kind::Failed, "build", revision),
            true,
            at(0),
        );
        due(&mut memory, at(0));
    }
    let first = told(&mut memory);
    assert_eq!(first.len(), MOST);
    due(&mut memory, at(59));
    assert_eq!(told(&mut memory), [""; 0]);
    due(&mut memory, at(60));
    assert_eq!(told(&mut memory), ["digest of 990, 20 shown"]);
    take(
        &mut memory,
        &event(2000, Kind::Recovered, "build", 'f'),
        true,
        at(61),
    );
    assert_eq!(told(&mut memory), ["recovered todo-2000"]);
}

#[test]
fn a_clock_that_was_set_back_silences_nobody() {
    let mut memory = TargetMemory::default();
    for number in 0..10 {
        let revision = char::from(b'a' + (number % 6) as u8);
        take(
            &mut memory,
            &event(number, Kind::Failed, "build", revision),
            true,
            at(100_000),
        );
    }
    told(&mut memory);
    take(
        &mut memory,
        &event(20, Kind::Recovered, "build", 'a'),
        true,
        at(0),
    );
    assert_eq!(told(&mut memory), ["recovered todo-20"]);
}

#[test]
fn a_target_that_is_not_told_of_ends_is_not_told_that_what_has_ended_lasts() {
    let mut memory = TargetMemory::default();
    take(
        &mut memory,
        &event(1, Kind::Stuck, "unhealthy", 'a'),
        true,
        at(0),
    );
    take(
        &mut memory,
        &event(2, Kind::Recovered, "unhealthy", 'b'),
        false,
        at(1),
    );
    due(&mut memory, at(3000));
    take(
        &mut memory,
        &event(3, Kind::Stuck, "unhealthy", 'a'),
        true,
        at(3001),
    );
    assert_eq!(told(&mut memory), ["stuck todo-1", "stuck todo-3"]);
}

#[test]
fn another_reason_takes_the_place_of_the_one_before_and_both_end() {
    let mut memory = TargetMemory::default();
    let poll = |number, kind, code| Event {
        attempt: None,
        revision: None,
        ..event(number, kind, code, 'a')
    };
    take(
        &mut memory,
        &poll(1, Kind::Failed, "access-denied"),
        true,
        at(0),
    );
    take(
        &mut memory,
        &poll(2, Kind::Unreachable, "network"),
        true,
        at(1),
    );
    take(
        &mut memory,
        &poll(3, Kind::Reachable, "network"),
        true,
        at(2),
    );
    take(
        &mut memory,
        &event(4, Kind::Failed, "build", 'a'),
        true,
        at(3),
    );
    take(
        &mut memory,
        &event(5, Kind::Failed, "signature", 'b'),
        true,
        at(4),
    );
    assert_eq!(memory.problems.len(), 1);
    // The branch was set back to what is live.
    let back = Event {
        attempt: None,
        ..event(6, Kind::Recovered, "signature", 'c')
    };
    take(&mut memory, &back, true, at(5));
    assert!(memory.problems.is_empty(), "{:?}", memory.problems);
}

#[test]
fn what_waits_for_a_target_that_is_away_is_bounded() {
    let mut memory = TargetMemory::default();
    for number in 0..500 {
        let revision = char::from(b'a' + (number % 6) as u8);
        take(
            &mut memory,
            &event(number, Kind::Failed, "build", revision),
            true,
            at(i64::from(number) * 30),
        );
        due(&mut memory, at(i64::from(number) * 30));
    }
    assert!(memory.queue.len() <= MOST, "{}", memory.queue.len());
}
