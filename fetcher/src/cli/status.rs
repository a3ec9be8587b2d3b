//! `pp-fetcher status`: which release is live, since when, and which revision is held back.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::args::Arguments;
use super::output::style::{TextStyle, Tone};
use super::output::words::{self, first_line};
use super::output::{say, say_json};
use super::table::{Cell, Table};
use super::{FAILED, OK, USAGE, load, select};
use crate::config::App;
use crate::release::Layout;
use crate::release::leftover::Leftover;
use crate::state::{
    EndedAttempt, FailedPolls, Outcome, Pause, Quarantine, Release, State, StateDir, UnderWay,
};
use crate::util::duration::human;
use crate::util::text;

/// Version of the JSON that `status --json` and `history --json` print.
pub(crate) const SCHEMA: u32 = 1;

/// One app, as `status --json` prints it.
#[derive(Debug, Serialize)]
struct Status {
    app: String,
    state: Condition,
    live: Option<Release>,
    quarantined: Vec<Quarantine>,
    trouble: Option<FailedPolls>,
    paused: Option<Pause>,
    last: Option<EndedAttempt>,
    /// The release that `current` points at.
    current: Option<String>,
    /// What the running pass does now.
    under_way: Option<UnderWay>,
    /// The files or directories that keep old releases from being removed.
    leftovers: Vec<PathBuf>,
    #[serde(skip)]
    removal: Option<String>,
    /// Why the attempt failed whose way back has failed too.
    #[serde(skip)]
    stuck: Option<String>,
    /// Why the app's state cannot be read, so that little else is known.
    error: Option<String>,
}

/// The condition of an app, as one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Condition {
    /// The followed revision is live.
    Ok,
    /// Nothing has been deployed yet.
    New,
    /// The latest revision is held back; an earlier one is live.
    Quarantined,
    /// `current` points at another release than the one that was deployed.
    Switched,
    /// Nothing new is deployed, because a person has paused the app.
    Paused,
    /// The last polls ended in an error.
    Failing,
    /// The app is not healthy, and there is no way back to a healthy release.
    Stuck,
    /// The state of the app cannot be read.
    Unreadable,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    apps: &'a [Status],
}

/// Prints the status of one app or all.
pub(crate) fn status(arguments: &Arguments, app: Option<&str>, json: bool) -> u8 {
    let names: Vec<String> = app.into_iter().map(str::to_owned).collect();
    let config = match load(&arguments.config(), &names) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let broken = config.broken_of(&names).next().is_some();
    let apps = match select(config, &names) {
        Ok(apps) => apps,
        Err(code) => return code,
    };
    let all: Vec<Status> = apps.iter().map(|app| look(app, arguments)).collect();
    if json {
        let document = Document {
            schema: SCHEMA,
            apps: &all,
        };
        // The document has only strings and numbers, so serializing it cannot fail.
        let text = serde_json::to_string_pretty(&document).unwrap_or_default();
        say_json(&format!("{text}\n"));
    } else {
        say(&table(&all, Timestamp::now(), TextStyle::stdout()));
    }
    if broken {
        USAGE
    } else if all.iter().any(|status| status.state.is_bad()) {
        FAILED
    } else {
        OK
    }
}

fn look(app: &App, arguments: &Arguments) -> Status {
    let dir = StateDir::new(&arguments.state(), &app.name);
    let mut attempts = dir.history().read().unwrap_or_default();
    let (state, error) = match dir.load() {
        Ok(state) => (state, None),
        Err(error) => (State::default(), Some(error.to_string())),
    };
    // A pause whose time is over holds nothing back.
    let paused = state.paused.filter(|pause| pause.holds(Timestamp::now()));
    let state = State { paused, ..state };
    // The stuck attempt need not be the last one: a newer commit may have been refused since.
    let number = state.stuck.as_ref().map(|stuck| stuck.number);
    let stuck = attempts
        .iter()
        .rev()
        .find(|ended| Some(ended.attempt.number) == number);
    let stuck = stuck.and_then(|ended| ended.reason.clone());
    let last = attempts.pop();
    let layout = Layout::new(&app.deploy.root);
    let current = layout.current().ok().flatten();
    let condition = if error.is_some() {
        Condition::Unreadable
    } else {
        condition(&state, last.as_ref(), current.as_deref())
    };
    let leftovers = layout.leftovers();
    Status {
        app: app.name.clone(),
        state: condition,
        live: state.live,
        quarantined: state.quarantined,
        trouble: state.trouble,
        paused: state.paused,
        last,
        current,
        under_way: dir.under_way().read(),
        removal: removal(&leftovers),
        stuck,
        leftovers: leftovers.into_iter().map(|left| left.path).collect(),
        error,
    }
}

fn condition(state: &State, last: Option<&EndedAttempt>, current: Option<&str>) -> Condition {
    let held = |ended: &EndedAttempt| state.quarantine_of(&ended.attempt.revision).is_some();
    let elsewhere = |live: &Release| current.is_some_and(|current| current != live.name);
    let goes_back = state
        .trying
        .iter()
        .any(|trying| trying.going_back.is_some());
    let never_good = state.live.is_none() && last.is_some_and(|l| l.outcome == Outcome::Stuck);
    match last {
        _ if state.stuck.is_some() || goes_back || never_good => Condition::Stuck,
        _ if state.paused.is_some() => Condition::Paused,
        _ if state.trouble.is_some() => Condition::Failing,
        _ if state.live.as_ref().is_some_and(elsewhere) && state.trying.is_none() => {
            Condition::Switched
        }
        Some(ended) if held(ended) => Condition::Quarantined,
        Some(ended) if ended.outcome != Outcome::Good => Condition::Failing,
        _ if state.live.is_none() => Condition::New,
        _ => Condition::Ok,
    }
}

/// Describes what keeps old releases from being removed, and gives the command that fixes it.
fn removal(leftovers: &[Leftover]) -> Option<String> {
    let first = leftovers.first()?;
    let directories: Vec<_> = leftovers
        .iter()
        .map(|left| quoted(&left.directory))
        .collect();
    Some(format!(
        "{} old releases could not be removed and take room: {} belongs to {}\n  as root: rm -rf {}",
        leftovers.len(),
        text::line(first.path.as_os_str().as_bytes()),
        first.owner,
        directories.join(" ")
    ))
}

/// Quotes `path` for a shell: in single quotes, unless it needs none.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if path.chars().all(plain) {
        return path;
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}

impl Condition {
    fn tone(self) -> Tone {
        match self {
            Self::Ok => Tone::Good,
            Self::New => Tone::Plain,
            Self::Quarantined | Self::Paused | Self::Switched => Tone::Held,
            Self::Failing | Self::Stuck | Self::Unreadable => Tone::Bad,
        }
    }

    /// Whether a person has to do something about the app.
    fn is_bad(self) -> bool {
        self.tone() == Tone::Bad
    }
}

fn table(all: &[Status], now: Timestamp, look: TextStyle) -> String {
    let mut table = Table::new(["APP", "STATE", "LIVE", "SINCE", "LAST ATTEMPT"]);
    let mut notes = String::new();
    for status in all {
        let state = format!("{:?}", status.state).to_lowercase();
        let live = status
            .live
            .as_ref()
            .map_or_else(|| "-".to_owned(), |live| live.revision.short());
        let since = status
            .live
            .as_ref()
            .map_or_else(|| "-".into(), |l| ago(l.deployed_at, now));
        let last = status.last.as_ref().map_or_else(
            || "none yet".into(),
            |last| {
                let when = ago(last.attempt.started_at, now);
                format!(
                    "#{} {} {} ({when})",
                    last.attempt.number,
                    last.outcome.as_str(),
                    last.attempt.revision.short()
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
    format!("{}{notes}", table.render(look))
}

/// Gives the lines below the table for one app: what is being done, why the app is not as it should be, and
/// which command helps.
fn note(status: &Status, now: Timestamp) -> String {
    let app = &status.app;
    let mut text = String::new();
    if let Some(now_done) = &status.under_way {
        let phase = now_done.phase.as_deref().unwrap_or("begun");
        let since = ago(now_done.since, now);
        text.push_str(&format!(
            "\n{app}: {}: {phase}, begun {since}\n",
            now_done.what
        ));
    }
    if let Some((why, more)) = describe_status(status, now) {
        text.push_str(&format!("\n{app}: {why}\n  {more}\n"));
    }
    if let Some(removal) = &status.removal {
        text.push_str(&format!("\n{app}: {removal}\n"));
    }
    text
}

/// Explains why an app is not as it should be, and which command helps; `None` if all is well.
fn describe_status(status: &Status, now: Timestamp) -> Option<(String, String)> {
    let app = &status.app;
    let last = status.last.as_ref().and_then(|last| last.reason.as_deref());
    let history = format!("`pp-fetcher history {app}` shows every attempt");
    Some(match status.state {
        Condition::Ok | Condition::New => return None,
        Condition::Paused => (words::paused(app, status.paused.as_ref()?).text(), history),
        Condition::Unreadable => (status.error.clone().unwrap_or_default(), history),
        Condition::Switched => {
            let current = status.current.as_deref().unwrap_or_default();
            let told = words::switched(app, status.live.as_ref()?, current).text();
            (told, history)
        }
        Condition::Failing => match &status.trouble {
            Some(t) => (
                format!(
                    "{} polls failed, the first {}: {}",
                    t.count,
                    ago(t.since, now),
                    t.reason
                ),
                format!("when that is mended, `pp-fetcher poll {app}` tries again at once"),
            ),
            None => (
                first_line(last.unwrap_or_default()).to_owned(),
                format!("`pp-fetcher poll {app}` tries what is followed\n  {history}"),
            ),
        },
        Condition::Quarantined => (
            first_line(last.unwrap_or_default()).to_owned(),
            format!(
                "it is held back until something newer comes, or the app's file changes, or \
                 `pp-fetcher retry {app}`\n  {history}"
            ),
        ),
        // The reason already names the way out.
        Condition::Stuck => {
            let reason = status.stuck.as_deref().or(last);
            (reason.unwrap_or_default().to_owned(), history)
        }
    })
}

/// Formats how long ago `then` was: `3 min 05 s ago`.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    let passed: SignedDuration = now.duration_since(then);
    match passed.try_into() {
        Ok(passed) => format!("{} ago", human(passed)),
        // `then` is later than `now`: the clock was set back.
        Err(_) => format!("at {}", then.strftime("%Y-%m-%d %H:%M UTC")),
    }
}
