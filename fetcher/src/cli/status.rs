//! `pp-fetcher status`: which release is live, since when, and which revision is held back.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::args::Arguments;
use super::output::style::{TextStyle, Tone};
use super::output::words::{self, first_line};
use super::output::{say, say_json};
use super::table::{Cell, Table};
use super::{FAILED, OK, USAGE, load, select};
use crate::release::leftover::Leftover;
use crate::report::standing::{Condition, Status, look};
use crate::util::duration::human;
use crate::util::text;

/// Version of the JSON that `status --json` and `history --json` print.
pub(crate) const SCHEMA: u32 = 1;

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
    let all: Vec<Status> = apps
        .iter()
        .map(|app| look(app, &arguments.state()))
        .collect();
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

/// The colour of a condition.
fn tone_of(condition: Condition) -> Tone {
    match condition {
        Condition::Ok => Tone::Good,
        Condition::New => Tone::Plain,
        Condition::Failing | Condition::Stuck | Condition::Unreadable => Tone::Bad,
        _ => Tone::Held,
    }
}

fn table(all: &[Status], now: Timestamp, look: TextStyle) -> String {
    let mut table = Table::new(["APP", "STATE", "LIVE", "SINCE", "LAST ATTEMPT"]);
    let mut notes = String::new();
    for status in all {
        let state = status.state.as_str();
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
            Cell::new(tone_of(status.state), state),
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
    if status.state == Condition::Ok
        && let Some(window) = &status.window
    {
        text.push_str(&format!("\n{app}: window: {window}\n"));
    }
    if !status.changed.is_empty() {
        text.push_str(&format!(
            "\n{app}: changed since the live release was made, without a commit: {}\n  `pp-fetcher redeploy {app}` has \
             the next poll make a new release of the same revision\n",
            status.changed.join(", ")
        ));
    }
    if let Some(removal) = removal(&status.left) {
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
        Condition::Frozen | Condition::Waits => {
            let hold = status.hold.as_ref()?;
            let waits = status.waits.as_ref();
            let waits = waits.map(|revision| format!("{} waits; ", revision.short()));
            let thaw = match status.state {
                Condition::Waits if hold.code == "checks" => history,
                Condition::Waits => format!("`pp-fetcher poll {app} --force` does not wait"),
                _ => format!(
                    "`pp-fetcher thaw {app}`, or `pp-fetcher thaw` for all apps, ends it; `pp-fetcher poll {app} --force` \
                     does not wait"
                ),
            };
            (format!("{}{}", waits.unwrap_or_default(), hold.what), thaw)
        }
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
