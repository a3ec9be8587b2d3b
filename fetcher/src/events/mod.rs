//! Events: each change of an app's state is told once to the outbox, where pp-notify finds it.
//!
//! [`changes`] decides what is a change. What is told, and what of it is not yet in the outbox, is part of the app's
//! state: after a crash at any moment the next pass tells the rest, and nothing twice. No deploy depends on it: an
//! outbox that cannot be written is a line of output, and is tried again by the next pass.

mod changes;

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pp_events::{Event, Kind, LONGEST_REASON, Outbox, SCHEMA, host_name};

use crate::deploy::code::Code;
use crate::deploy::{Deployment, Verdict};
use crate::sanitize::sanitize;
use crate::state::open::DIRECTORY;
use crate::state::record::keep_last;
use crate::state::{EndedAttempt, Freeze, FreezeFile, Outcome, State, StateDir, StateError, Told};
use changes::{Change, Seen, since};

/// The most events that wait for an outbox that cannot be written.
const MOST_PENDING: usize = 50;

/// Runs `work` on an app, and tells the outbox what has changed: first what an earlier pass that was cut short has not
/// told. What could not be told is `note`d.
pub(crate) fn around<E>(
    deployment: &mut Deployment<'_>,
    work: impl FnOnce(&mut Deployment<'_>) -> Result<Verdict, E>,
) -> (Result<Verdict, E>, Option<String>) {
    let app = &deployment.app.name;
    let untold = cut_short(&deployment.dir, &deployment.state);
    let now = (deployment.clock)();
    let before = Seen {
        attempts: &untold,
        ..Seen::default()
    };
    let first = tell(app, &deployment.dir, &mut deployment.state, &before, now);
    let ended = work(deployment);
    let attempts: Vec<EndedAttempt> = match &ended {
        Ok(Verdict::Attempted(ended)) => vec![(**ended).clone()],
        _ => Vec::new(),
    };
    let live = deployment.state.live.as_ref().map(|live| live.revision);
    let seen = Seen {
        attempts: &attempts,
        polled: deployment.polled,
        nothing_waits: matches!(
            &ended,
            Ok(Verdict::Nothing(_) | Verdict::Unchanged { .. } | Verdict::Held(_))
        ),
        readable_again: unreadable(&deployment.dir).exists(),
        is_up_to_date: match &ended {
            Ok(Verdict::Nothing(revision)) => Some(*revision) == live,
            Ok(Verdict::Unchanged { .. }) => true,
            _ => false,
        } && deployment.state.stuck.is_none(),
        refused: match &ended {
            Ok(Verdict::Held(held)) if held.code.as_deref() == Some(Code::Checks.as_str()) => {
                Some((held.revision, held.reason.clone()))
            }
            _ => None,
        },
        waits: match &ended {
            Ok(Verdict::Waits { revision, hold }) => {
                Some((*revision, hold.code, hold.what.clone()))
            }
            _ => None,
        },
    };
    let now = (deployment.clock)();
    let second = tell(app, &deployment.dir, &mut deployment.state, &seen, now);
    if seen.readable_again && second.is_none() {
        // After its end was told.
        let _ = fs::remove_file(unreadable(&deployment.dir));
    }
    (ended, second.or(first))
}

/// Takes all that is so already for told: what went before the first version that tells is no news.
pub(crate) fn begin(state: &mut State, now: Timestamp) {
    if state.told.is_none() {
        let mut told = Told {
            attempt: state.next_attempt.saturating_sub(1),
            ..Told::default()
        };
        let old_news = since(&mut told, state, &Seen::default(), now);
        drop(old_news);
        state.told = Some(told);
    }
}

/// Tells what a person has changed by a command, after [`begin`] before the change. Gives what could not be done.
pub(crate) fn tell_command(app: &str, dir: &StateDir, state: &mut State) -> Option<String> {
    tell(app, dir, state, &Seen::default(), Timestamp::now())
}

/// The attempts that have ended and were not told: the pass was killed in between.
fn cut_short(dir: &StateDir, state: &State) -> Vec<EndedAttempt> {
    let Some(told) = &state.told else {
        return Vec::new();
    };
    let stuck = told
        .problem
        .as_ref()
        .is_some_and(|problem| problem.event == Kind::Stuck);
    if stuck && state.stuck.is_none() && state.trying.is_none() {
        // A way back that had failed has ended in a pass that was killed: the attempt is told, its end is not.
        let mut attempts = dir.history().read().unwrap_or_default();
        attempts.retain(|ended| {
            ended.attempt.number >= told.attempt && ended.outcome != Outcome::Stuck
        });
        if !attempts.is_empty() {
            return attempts;
        }
    }
    let last = state.next_attempt.saturating_sub(1);
    let is_under_way = state
        .trying
        .as_ref()
        .is_some_and(|trying| trying.number == last);
    if last <= told.attempt || is_under_way {
        return Vec::new();
    }
    let mut attempts = dir.history().read().unwrap_or_default();
    attempts.retain(|ended| ended.attempt.number > told.attempt);
    attempts
}

/// Writes down what has changed, first in the state and then in the outbox.
fn tell(
    app: &str,
    dir: &StateDir,
    state: &mut State,
    seen: &Seen<'_>,
    now: Timestamp,
) -> Option<String> {
    begin(state, now);
    let mut told = state.told.take()?;
    let before = told.clone();
    let changes = since(&mut told, state, seen, now);
    let live = state.live.as_ref().map(|live| live.revision.to_string());
    for change in changes {
        told.number += 1;
        let id = format!("{app}-{:x}-{}", now.as_millisecond(), told.number);
        told.pending.push(event(id, app, change, live.clone(), now));
    }
    keep_last(&mut told.pending, MOST_PENDING);
    let waits = !told.pending.is_empty();
    let changed = told != before;
    state.told = Some(told);
    if waits {
        return flush(dir, state).err();
    }
    // What is known otherwise, and no event: that a revision does not wait any more.
    changed
        .then(|| dir.save(state))?
        .err()
        .map(|error| error.to_string())
}

/// Saves the state with the events, writes them to the outbox, and saves that they are there.
fn flush(dir: &StateDir, state: &mut State) -> Result<(), String> {
    let failed =
        |what: String| format!("an event cannot be told, which the next poll tries again: {what}");
    dir.save(state).map_err(|error| failed(error.to_string()))?;
    let Some(told) = &mut state.told else {
        return Ok(());
    };
    crate::crash::point("before", "outbox");
    append(&dir.outbox(), &told.pending).map_err(|error| failed(error.to_string()))?;
    crate::crash::point("after", "outbox");
    told.pending.clear();
    dir.save(state).map_err(|error| failed(error.to_string()))
}

/// The file that is there while the state cannot be read.
fn unreadable(dir: &StateDir) -> PathBuf {
    dir.file().with_file_name("unreadable")
}

/// Tells that the state of an app cannot be read, so that nothing is deployed: once for each such file.
pub(crate) fn tell_unreadable(app: &str, dir: &StateDir, error: &StateError) {
    let file = fs::symlink_metadata(dir.file()).and_then(|found| found.modified());
    let changed = file.ok().and_then(|time| Timestamp::try_from(time).ok());
    let changed = changed.map_or(0, Timestamp::as_millisecond);
    let change = Change {
        reason: Some(error.to_string()),
        ..Change::new(Kind::Failed, Some("state"))
    };
    let id = format!("{app}-{changed:x}-state");
    // So that its end is told; and nothing can be written down of a failure: the next poll says the same on its output.
    let _ = fs::write(unreadable(dir), "");
    let _ = append(
        &dir.outbox(),
        &[event(id, app, change, None, Timestamp::now())],
    );
}

/// Tells that a person has frozen an app, or all apps for `None`.
///
/// # Errors
/// The outbox cannot be written.
pub(crate) fn tell_freeze(base: &Path, app: Option<&str>, freeze: &Freeze) -> std::io::Result<()> {
    tell_of_freeze(base, app, freeze, Kind::Frozen, None)
}

/// Tells that a freeze has ended, by the command `thaw` or because its time is over.
///
/// # Errors
/// The outbox cannot be written.
pub(crate) fn tell_thaw(
    base: &Path,
    app: Option<&str>,
    freeze: &Freeze,
    code: &str,
) -> std::io::Result<()> {
    tell_of_freeze(base, app, freeze, Kind::Thawed, Some(code))
}

fn tell_of_freeze(
    base: &Path,
    app: Option<&str>,
    freeze: &Freeze,
    kind: Kind,
    code: Option<&str>,
) -> std::io::Result<()> {
    let change = Change {
        reason: Some(freeze.reason.clone()),
        until: freeze.until.filter(|_| kind == Kind::Frozen),
        ..Change::new(kind, code)
    };
    let name = app.unwrap_or("host");
    // The same freeze has the same name, whichever process tells of it.
    let id = format!(
        "{name}-{:x}-{}",
        freeze.since.as_millisecond(),
        kind.as_str()
    );
    let mut event = event(id, name, change, None, Timestamp::now());
    event.app = app.map(str::to_owned);
    append(&Outbox::of(base), &[event])
}

/// Ends the freezes whose time is over, and tells of it: once, whichever pass finds them.
pub(crate) fn end_freezes(base: &Path, now: Timestamp) {
    let file = FreezeFile::new(base);
    let Ok(mut all) = file.read() else { return };
    let over = all.take_expired(now);
    if over.is_empty() {
        return;
    }
    // First told, then taken out: whoever is killed in between leaves it to the next pass, and the name of the event is the
    // same. A freeze that is over holds nothing, even if it cannot be taken out of the file.
    let told = |(app, freeze): &(Option<String>, Freeze)| {
        tell_thaw(base, app.as_deref(), freeze, "expired").is_ok()
    };
    if over.iter().all(told) {
        let _ = file.change(|all| all.take_expired(now));
    }
}

fn append(outbox: &Outbox, events: &[Event]) -> std::io::Result<()> {
    match DirBuilder::new().mode(DIRECTORY).create(outbox.directory()) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    outbox.append(events)
}

fn event(id: String, app: &str, change: Change, live: Option<String>, at: Timestamp) -> Event {
    let mut event = Event {
        schema: SCHEMA,
        id,
        at,
        host: host_name(),
        app: Some(app.to_owned()),
        event: change.kind,
        code: change.code,
        revision: change.revision.map(|revision| revision.to_string()),
        previous: None,
        live,
        author: None,
        subject: None,
        attempt: None,
        ms: None,
        by: None,
        reason: change.reason.as_deref().map(cut),
        until: change.until,
    };
    if let Some(ended) = change.attempt {
        let attempt = ended.attempt;
        event.revision = Some(attempt.revision.to_string());
        event.previous = attempt.previous.map(|revision| revision.to_string());
        event.ms = u64::try_from(attempt.total().as_millis()).ok();
        event.author = Some(cut(&attempt.author));
        event.subject = Some(cut(&attempt.subject));
        event.attempt = Some(attempt.number);
        event.by = attempt.by;
        event.reason = ended.reason.as_deref().map(cut);
    }
    event
}

/// Cleans a text, and cuts it to the length that an event may have.
fn cut(text: &str) -> String {
    let clean = sanitize(text, false);
    let mut end = LONGEST_REASON.min(clean.len());
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    clean.get(..end).unwrap_or_default().to_owned()
}
