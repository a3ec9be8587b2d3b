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

/// How often a target is reminded: what nobody has mended in a month, nobody reads about.
const REMINDERS: u32 = 30;

/// The most that waits for a forge.
const MOST_FOR_FORGE: usize = 500;

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

/// Takes an event of an app that the target is told of. `wanted`: the target is told of events of this kind; of others
/// only the end of what it was told is remembered.
pub(crate) fn take(memory: &mut TargetMemory, event: &Event, wanted: bool, now: Timestamp) {
    if event.event.is_bad() {
        if !wanted {
            return;
        }
        let key = key(event);
        let same = memory.problems.get(&key).is_some_and(|problem| {
            problem.event.revision == event.revision && problem.event.event == event.event
        });
        if same {
            return;
        }
        // Of an app one attempt is the last, and polls fail for one reason at a time.
        let replaced = |problem: &Problem| {
            is_same_app(&problem.event, event)
                && is_of_attempt(&problem.event) == is_of_attempt(event)
        };
        memory.problems.retain(|_, problem| !replaced(problem));
        make_room(memory);
        let problem = Problem {
            event: event.clone(),
            told: now,
            reminders: 0,
        };
        memory.problems.insert(key, problem);
    } else if event.event.is_recovery() {
        over(memory, event);
    }
    if wanted {
        tell(memory, event.id.clone(), News::Event(event.clone()), now);
    }
}

/// Takes an event for a forge: each attempt is told, as the last state of a commit is what the forge shows. There are no
/// digests, reminders and limits; what is told twice changes nothing there.
pub(crate) fn take_for_forge(memory: &mut TargetMemory, event: &Event, now: Timestamp) {
    if event.attempt.is_none() || memory.queue.len() >= MOST_FOR_FORGE {
        return;
    }
    let news = News::Event(event.clone());
    memory
        .queue
        .push(Delivery::new(event.id.clone(), news, now));
}

/// Whether an event is about an attempt to deploy a revision, or else about polls.
fn is_of_attempt(event: &Event) -> bool {
    event.revision.is_some()
}

fn is_same_app(one: &Event, other: &Event) -> bool {
    one.app == other.app && one.host == other.host
}

/// Forgets the problem that was told the longest time ago, if there are too many: the outbox may name any number of apps.
fn make_room(memory: &mut TargetMemory) {
    if memory.problems.len() < MOST_PROBLEMS {
        return;
    }
    let oldest = memory
        .problems
        .iter()
        .min_by_key(|(_, problem)| problem.event.at);
    if let Some(key) = oldest.map(|(key, _)| key.clone()) {
        memory.problems.remove(&key);
    }
}

/// Forgets the problems that an event ends.
fn over(memory: &mut TargetMemory, event: &Event) {
    let key = key(event);
    memory.problems.retain(|name, problem| {
        let of_class = match event {
            // A deploy that ends well ends all that was wrong with the app but the network.
            Event {
                attempt: Some(_), ..
            } => true,
            event => is_of_attempt(&problem.event) == is_of_attempt(event),
        };
        let network = problem.event.event == Kind::Unreachable || event.event == Kind::Reachable;
        let ended = *name == key || (of_class && !network && is_same_app(&problem.event, event));
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
    memory.queue.push(Delivery::new(id, news, now));
}

fn may_be_told(memory: &mut TargetMemory, now: Timestamp) -> bool {
    memory
        .told
        .retain(|told| *told <= now && now.duration_since(*told) < HOUR);
    // Nothing goes ahead of what is held back; and what waits for a target that is away comes at once when it is back.
    memory.told.len() < MOST && memory.queue.len() < MOST && memory.held_back.is_empty()
}

/// Adds what is due by now: the digest once the hour is over, and reminders.
pub(crate) fn due(memory: &mut TargetMemory, now: Timestamp) {
    memory
        .told
        .retain(|told| *told <= now && now.duration_since(*told) < HOUR);
    if !memory.held_back.is_empty() && memory.told.len() < MOST && memory.queue.len() < MOST {
        let events = std::mem::take(&mut memory.held_back);
        let count = events.len() as u64 + std::mem::take(&mut memory.more_held_back);
        let last = events
            .last()
            .map(|event| event.id.clone())
            .unwrap_or_default();
        tell(
            memory,
            format!("digest-{}-{last}", now.as_second()),
            News::Digest(events, count),
            now,
        );
    }
    let late: Vec<String> = memory
        .problems
        .iter()
        .filter(|(_, problem)| problem.reminders < REMINDERS)
        // After the clock was set back, what was told later than now was told long enough ago.
        .filter(|(_, problem)| now.duration_since(problem.told).abs() >= REMINDER)
        .map(|(key, _)| key.clone())
        .collect();
    for key in late {
        let Some(problem) = memory.problems.get_mut(&key) else {
            continue;
        };
        problem.told = now;
        problem.reminders += 1;
        let event = problem.event.clone();
        let id = format!("{}-reminder-{}", event.id, now.as_second());
        tell(memory, id, News::Reminder(event), now);
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
