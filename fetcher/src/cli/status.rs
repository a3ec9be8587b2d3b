//! `pp-fetcher status`: what is live, since when, and what is held back.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::args::Arguments;
use super::output::say;
use super::output::style::{Look, Tone};
use super::output::words::{self, first_line};
use super::table::{Cell, Table};
use super::{FAILED, OK, load, select};
use crate::config::App;
use crate::config::duration::human;
use crate::state::{Attempt, Kept, Outcome, Pause, Quarantine, State, StateDir, Trouble};

/// Version of the JSON that `status --json` and `history --json` print.
pub const SCHEMA: u32 = 1;

/// One app, as `status --json` tells it.
#[derive(Debug, Serialize)]
struct Status {
    app: String,
    state: Condition,
    live: Option<Kept>,
    quarantined: Vec<Quarantine>,
    trouble: Option<Trouble>,
    paused: Option<Pause>,
    last: Option<Attempt>,
    /// Why nothing else is known.
    error: Option<String>,
}

/// One word for an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Condition {
    /// What is followed is live.
    Ok,
    /// Nothing has been deployed yet.
    New,
    /// The latest revision is held back; an earlier one is live.
    Quarantined,
    /// Nothing new is deployed, because somebody said so.
    Paused,
    /// The last polls ended in an error.
    Failing,
    /// Not well, and no way back.
    Stuck,
    /// Its state cannot be read.
    Unreadable,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    apps: &'a [Status],
}

/// Prints the status of one app or all.
pub fn status(arguments: &Arguments, app: Option<&str>, json: bool) -> u8 {
    let names: Vec<String> = app.into_iter().map(str::to_owned).collect();
    let apps = match load(arguments.config()).and_then(|config| select(config, &names)) {
        Ok(apps) => apps,
        Err(code) => return code,
    };
    let all: Vec<Status> = apps.iter().map(|app| look(app, arguments)).collect();
    if json {
        let document = Document {
            schema: SCHEMA,
            apps: &all,
        };
        // Only strings and numbers: this cannot fail.
        let text = serde_json::to_string_pretty(&document).unwrap_or_default();
        say(&format!("{text}\n"));
    } else {
        say(&table(&all, Timestamp::now(), Look::stdout()));
    }
    if all.iter().any(|s| s.state == Condition::Unreadable) {
        FAILED
    } else {
        OK
    }
}

fn look(app: &App, arguments: &Arguments) -> Status {
    let dir = StateDir::new(arguments.state(), &app.name);
    let last = dir.history().read().ok().and_then(|mut all| all.pop());
    let (state, error) = match dir.load() {
        Ok(state) => (state, None),
        Err(error) => (State::default(), Some(error.to_string())),
    };
    // A pause whose time is over holds nothing back.
    let paused = state.paused.filter(|pause| pause.holds(Timestamp::now()));
    let state = State { paused, ..state };
    let condition = if error.is_some() {
        Condition::Unreadable
    } else {
        condition(&state, last.as_ref())
    };
    Status {
        app: app.name.clone(),
        state: condition,
        live: state.live,
        quarantined: state.quarantined,
        trouble: state.trouble,
        paused: state.paused,
        last,
        error,
    }
}

fn condition(state: &State, last: Option<&Attempt>) -> Condition {
    let held = |attempt: &Attempt| state.quarantine_of(&attempt.revision).is_some();
    match last {
        Some(attempt) if attempt.outcome == Outcome::Stuck => Condition::Stuck,
        _ if state.paused.is_some() => Condition::Paused,
        _ if state.trouble.is_some() => Condition::Failing,
        Some(attempt) if held(attempt) => Condition::Quarantined,
        Some(attempt) if attempt.outcome != Outcome::Good => Condition::Failing,
        _ if state.live.is_none() => Condition::New,
        _ => Condition::Ok,
    }
}

impl Condition {
    fn tone(self) -> Tone {
        match self {
            Self::Ok => Tone::Good,
            Self::New => Tone::Plain,
            Self::Quarantined | Self::Paused => Tone::Held,
            Self::Failing | Self::Stuck | Self::Unreadable => Tone::Bad,
        }
    }
}

fn table(all: &[Status], now: Timestamp, look: Look) -> String {
    let mut table = Table::new(["APP", "STATE", "LIVE", "SINCE", "LAST ATTEMPT"]);
    let mut notes = String::new();
    for status in all {
        let state = format!("{:?}", status.state).to_lowercase();
        let live = status
            .live
            .as_ref()
            .map_or("-", |live| live.revision.short());
        let since = status
            .live
            .as_ref()
            .map_or_else(|| "-".into(), |l| ago(l.deployed_at, now));
        let last = status.last.as_ref().map_or_else(
            || "none yet".into(),
            |last| {
                let when = ago(last.started_at, now);
                format!(
                    "#{} {} {} ({when})",
                    last.attempt,
                    last.outcome.as_str(),
                    last.revision.short()
                )
            },
        );
        let tone = status.last.as_ref().map(|last| words::tone(last.outcome));
        table.row([
            status.app.as_str().into(),
            Cell::new(status.state.tone(), state),
            live.into(),
            since.as_str().into(),
            Cell::new(tone.unwrap_or(Tone::Plain), last),
        ]);
        notes.push_str(&note(status, now));
    }
    if all.is_empty() {
        return "no app is configured\n".to_owned();
    }
    format!("{}{notes}", table.shown(look))
}

/// What the table has no room for: why an app is not as it should be.
fn note(status: &Status, now: Timestamp) -> String {
    let app = &status.app;
    let held = || status.last.as_ref().and_then(|last| last.reason.as_deref());
    let why = match status.state {
        Condition::Ok | Condition::New => return String::new(),
        Condition::Paused => status
            .paused
            .as_ref()
            .map_or_else(String::new, |pause| words::paused(app, pause).text()),
        Condition::Unreadable => status.error.clone().unwrap_or_default(),
        Condition::Failing if status.trouble.is_some() => {
            status.trouble.as_ref().map_or_else(String::new, |t| {
                format!(
                    "{} polls failed, the first {}: {}",
                    t.count,
                    ago(t.since, now),
                    t.reason
                )
            })
        }
        Condition::Failing | Condition::Quarantined | Condition::Stuck => {
            held().unwrap_or_default().to_owned()
        }
    };
    let why = match status.state {
        // What to do is said there too.
        Condition::Unreadable => &why,
        _ => first_line(&why),
    };
    let more = match status.state {
        Condition::Quarantined => format!(
            "it is held back until something newer comes, or `pp-fetcher retry {app}`\n  \
             `pp-fetcher history {app}` shows every attempt"
        ),
        _ => format!("`pp-fetcher history {app}` shows every attempt"),
    };
    format!("\n{app}: {why}\n  {more}\n")
}

/// `3 min 05 s ago`.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    let passed: SignedDuration = now.duration_since(then);
    match passed.try_into() {
        Ok(passed) => format!("{} ago", human(passed)),
        // The clock was set back.
        Err(_) => format!("at {}", then.strftime("%Y-%m-%d %H:%M UTC")),
    }
}
