//! Which event a target is told, and when: the first of its kind, each change, the recovery, one reminder a day; and
//! never more than ten an hour, with one digest of what came beyond.
//!
//! The key of a problem is app, host and code, never a text: a duration or a commit's subject in it would make each one
//! new.

use jiff::{SignedDuration, Timestamp};
use pp_events::{Event, Kind};

use crate::store::{Delivery, News, Problem, TargetMemory};

/// The most that a target is told in an hour, the digest included.
pub(crate) const MOST: usize = 10;

/// The hour of [`MOST`].
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// The time after which a problem is told again.
const REMINDER: SignedDuration = SignedDuration::from_hours(24);

/// The most events of which a digest keeps the words.
const MOST_IN_DIGEST: usize = 20;

/// The most problems that are remembered of a target: the outbox may name any number of apps.
const MOST_PROBLEMS: usize = 500;

/// The key of an event's problem.
fn key(event: &Event) -> String {
    let part = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let code = match event.event {
        Kind::Unreachable | Kind::Reachable => "network",
        Kind::HostKeyChanged => "host-key-changed",
        _ => event.code.as_deref().unwrap_or("-"),
    };
    [
        part(event.app.as_deref()),
        event.host.clone(),
        code.to_owned(),
    ]
    .join("|")
}

/// Takes an event that the target wants to be told.
pub(crate) fn take(memory: &mut TargetMemory, event: &Event, now: Timestamp) {
    if event.event.is_bad() {
        let key = key(event);
        let same = memory.problems.get(&key).is_some_and(|problem| {
            problem.event.revision == event.revision && problem.event.event == event.event
        });
        if same {
            return;
        }
        if memory.problems.len() < MOST_PROBLEMS || memory.problems.contains_key(&key) {
            let problem = Problem {
                event: event.clone(),
                told: now,
            };
            memory.problems.insert(key, problem);
        }
    } else if event.event.is_recovery() {
        over(memory, event);
    }
    tell(memory, event.id.clone(), News::Event(event.clone()), now);
}

/// Forgets the problems that an event ends.
fn over(memory: &mut TargetMemory, event: &Event) {
    let key = key(event);
    let of_app =
        |problem: &Problem| problem.event.app == event.app && problem.event.host == event.host;
    // A deploy that ends well ends all that was wrong with the app but the network.
    let all = event.event != Kind::Reachable && event.attempt.is_some();
    memory.problems.retain(|name, problem| {
        let ended =
            *name == key || (all && of_app(problem) && problem.event.event != Kind::Unreachable);
        !ended
    });
}

/// Has the target told, now or in a digest.
fn tell(memory: &mut TargetMemory, id: String, news: News, now: Timestamp) {
    if !may_be_told(memory, now) {
        let event = match news {
            News::Event(event) | News::Reminder(event) => event,
            News::Digest(..) => return,
        };
        memory.held_back.push(event);
        if memory.held_back.len() > MOST_IN_DIGEST {
            memory.held_back.remove(0);
            memory.more_held_back += 1;
        }
        return;
    }
    memory.told.push(now);
    memory.queue.push(Delivery {
        id,
        news,
        since: now,
        tries: 0,
        not_before: now,
    });
}

fn may_be_told(memory: &mut TargetMemory, now: Timestamp) -> bool {
    memory
        .told
        .retain(|told| *told <= now && now.duration_since(*told) < HOUR);
    // Nothing goes ahead of what is held back.
    memory.told.len() < MOST && memory.held_back.is_empty()
}

/// Adds what is due by now: the digest once the hour is over, and reminders.
pub(crate) fn due(memory: &mut TargetMemory, now: Timestamp) {
    memory
        .told
        .retain(|told| *told <= now && now.duration_since(*told) < HOUR);
    if !memory.held_back.is_empty() && memory.told.len() < MOST {
        let events = std::mem::take(&mut memory.held_back);
        let count = events.len() as u64 + std::mem::take(&mut memory.more_held_back);
        let last = events
            .last()
            .map(|event| event.id.clone())
            .unwrap_or_default();
        tell(
            memory,
            format!("digest-{last}"),
            News::Digest(events, count),
            now,
        );
    }
    let late: Vec<String> = memory
        .problems
        .iter()
        .filter(|(_, problem)| now.duration_since(problem.told) >= REMINDER)
        .map(|(key, _)| key.clone())
        .collect();
    for key in late {
        let Some(problem) = memory.problems.get_mut(&key) else {
            continue;
        };
        problem.told = now;
        let event = problem.event.clone();
        let id = format!("{}-reminder-{}", event.id, now.as_second());
        tell(memory, id, News::Reminder(event), now);
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
