//! The changes of an app's state since the outbox was told last: pure, so that each rule has its test.
//!
//! A failure that comes again is no change. Neither is a network that is away for one or two polls.

use jiff::Timestamp;
use pp_events::Kind;

use crate::deploy::code::Code;
use crate::revision::Revision;
use crate::state::{EndedAttempt, Outcome, Problem, State, Told};

/// After so many polls in a row a forge that cannot be reached is worth an event.
const POLLS: u32 = 3;

/// A change that the outbox has not been told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) kind: Kind,
    pub(super) code: Option<String>,
    /// The attempt that made the change.
    pub(super) attempt: Option<EndedAttempt>,
    /// The revision, where no attempt names it.
    pub(super) revision: Option<Revision>,
    /// Why, where no attempt says it.
    pub(super) reason: Option<String>,
    pub(super) until: Option<Timestamp>,
}

/// What a pass has seen beside the state.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen<'a> {
    /// The attempts that have ended and were not told, the oldest first.
    pub(super) attempts: &'a [EndedAttempt],
    /// The revision that the pass has left out because its checks have failed, and why.
    pub(super) refused: Option<(Revision, String)>,
    /// Whether the forge has answered.
    pub(super) polled: bool,
    /// Whether the pass has found that no revision waits.
    pub(super) nothing_waits: bool,
    /// Whether an earlier pass could not read the state, and this one can.
    pub(super) readable_again: bool,
    /// Whether the pass has found the followed revision to be live.
    pub(super) is_up_to_date: bool,
    /// The revision that waits, for what (as a word), and that in a sentence.
    pub(super) waits: Option<(Revision, &'static str, String)>,
}

impl Change {
    pub(super) fn new(kind: Kind, code: Option<&str>) -> Self {
        Self {
            kind,
            code: code.map(str::to_owned),
            attempt: None,
            revision: None,
            reason: None,
            until: None,
        }
    }
}

/// Gives what has changed since `told`, which from now on has been told.
pub(super) fn since(
    told: &mut Told,
    state: &State,
    seen: &Seen<'_>,
    now: Timestamp,
) -> Vec<Change> {
    let mut changes = Vec::new();
    if seen.readable_again {
        changes.push(Change::new(Kind::Recovered, Some("state")));
    }
    if seen.nothing_waits {
        told.waits = None;
    }
    if let Some(over) = polls_succeed(told, state, seen) {
        changes.push(over);
    }
    for ended in seen.attempts {
        changes.extend(attempt(told, ended));
    }
    changes.extend(refused(told, seen));
    let away = told
        .polls
        .as_ref()
        .is_some_and(|polls| polls.event == Kind::Unreachable);
    let failing = polls_fail(told, state, seen);
    if away && failing.is_some() {
        changes.push(Change::new(Kind::Reachable, Some(Code::Network.as_str())));
    }
    changes.extend(failing);
    // The live revision may be what has failed, when it was deployed once more.
    let live = state.live.as_ref().map(|live| live.revision);
    let over = |problem: &mut Problem| seen.is_up_to_date && problem.revision != live;
    if let Some(problem) = told.problem.take_if(over) {
        changes.push(Change {
            revision: live,
            ..Change::new(Kind::Recovered, Some(&problem.code))
        });
    }
    changes.extend(pause(told, state, now));
    changes.extend(waits(told, seen));
    changes
}

/// The change that an attempt is, if it is one.
fn attempt(told: &mut Told, ended: &EndedAttempt) -> Option<Change> {
    told.attempt = told.attempt.max(ended.attempt.number);
    let code = ended.attempt.code.as_deref().unwrap_or_default();
    let kind = match ended.outcome {
        // What failed before may have been the polls; a network that is away is told by itself.
        Outcome::Good => {
            let polls = told.polls.take_if(|polls| polls.event != Kind::Unreachable);
            let over = told.problem.take().or(polls);
            told.waits = None;
            let kind = over.as_ref().map_or(Kind::Deployed, |_| Kind::Recovered);
            return Some(Change {
                attempt: Some(ended.clone()),
                ..Change::new(kind, over.map(|problem| problem.code).as_deref())
            });
        }
        _ if Code::is_of_the_time(code) => return None,
        Outcome::Refused | Outcome::Failed => Kind::Failed,
        Outcome::RolledBack => Kind::TakenBack,
        Outcome::Stuck => Kind::Stuck,
    };
    told.waits = None;
    let news = is_news(&mut told.problem, kind, code, Some(ended.attempt.revision));
    news.then(|| Change {
        attempt: Some(ended.clone()),
        ..Change::new(kind, Some(code))
    })
}

/// Whether a problem is another than the one that was told last; from now on it is the one.
fn is_news(
    told: &mut Option<Problem>,
    event: Kind,
    code: &str,
    revision: Option<Revision>,
) -> bool {
    let problem = Some(Problem {
        event,
        code: code.to_owned(),
        revision,
    });
    std::mem::replace(told, problem.clone()) != problem
}

/// The change that a revision was refused before any attempt.
fn refused(told: &mut Told, seen: &Seen<'_>) -> Option<Change> {
    let (revision, reason) = seen.refused.as_ref()?;
    let code = Code::Checks.as_str();
    if !is_news(&mut told.problem, Kind::Failed, code, Some(*revision)) {
        return None;
    }
    told.waits = None;
    Some(Change {
        revision: Some(*revision),
        reason: Some(reason.clone()),
        ..Change::new(Kind::Failed, Some(code))
    })
}

/// The change that polls fail, or fail for another reason.
fn polls_fail(told: &mut Told, state: &State, seen: &Seen<'_>) -> Option<Change> {
    let trouble = state
        .trouble
        .as_ref()
        .filter(|_| seen.attempts.is_empty())?;
    let code = trouble.code.as_deref()?;
    // An attempt that the environment has failed counts as a failed poll too, and was told.
    let is_attempts = told
        .problem
        .as_ref()
        .is_some_and(|problem| problem.code == code);
    if is_attempts || Code::is_of_the_time(code) {
        return None;
    }
    let network = [Code::Network, Code::Forge]
        .iter()
        .any(|n| n.as_str() == code);
    let kind = match code {
        _ if network && trouble.count < POLLS => return None,
        _ if network => Kind::Unreachable,
        _ if code == Code::HostKeyChanged.as_str() => Kind::HostKeyChanged,
        _ => Kind::Failed,
    };
    // Between an answer with an error and none at all there is no difference that a person acts on.
    let same = if network {
        Code::Network.as_str()
    } else {
        code
    };
    is_news(&mut told.polls, kind, same, None).then(|| Change {
        reason: Some(trouble.reason.clone()),
        ..Change::new(kind, Some(code))
    })
}

/// The change that polls succeed again.
fn polls_succeed(told: &mut Told, state: &State, seen: &Seen<'_>) -> Option<Change> {
    let answered = seen.polled && (state.trouble.is_none() || !seen.attempts.is_empty());
    let good = seen
        .attempts
        .iter()
        .any(|ended| ended.outcome == Outcome::Good);
    let over = told.polls.take_if(|polls| {
        // A deploy that ends well says itself that it is over.
        answered && (!good || polls.event == Kind::Unreachable)
    })?;
    let kind = match over.event {
        Kind::Unreachable => Kind::Reachable,
        _ => Kind::Recovered,
    };
    Some(Change::new(kind, Some(&over.code)))
}

/// The change that a pause has begun or ended.
fn pause(told: &mut Told, state: &State, now: Timestamp) -> Option<Change> {
    match state.paused.as_ref() {
        Some(pause) if pause.holds(now) => {
            if told.paused == Some(pause.since) {
                return None;
            }
            told.paused = Some(pause.since);
            Some(Change {
                reason: Some(pause.reason.clone()),
                until: pause.until,
                ..Change::new(Kind::Paused, None)
            })
        }
        pause => {
            told.paused.take()?;
            let code = if pause.is_some() { "expired" } else { "resume" };
            Some(Change::new(Kind::Resumed, Some(code)))
        }
    }
}

/// The change that a revision waits, or waits for something else.
fn waits(told: &mut Told, seen: &Seen<'_>) -> Option<Change> {
    let Some((revision, code, reason)) = &seen.waits else {
        return None;
    };
    let waits = Some((*revision, (*code).to_owned()));
    if told.waits == waits {
        return None;
    }
    told.waits = waits;
    Some(Change {
        revision: Some(*revision),
        reason: Some(reason.clone()),
        ..Change::new(Kind::Held, Some(code))
    })
}
