//! `rollback`, `retry`, `accept-rewrite`, `pause` and `resume`: the decisions of a person about one app.

use std::io::{BufRead, IsTerminal, Read};

use jiff::Timestamp;

use super::args::Arguments;
use super::output::level::{Level, is_well};
use super::output::words::paused;
use super::output::{Output, print_error, say};
use super::patience::of_a_person;
use super::{FAILED, OK, USAGE, one_app, poll};
use crate::config::App;
use crate::deploy::Trigger;
use crate::pass::{self, Error, Pass};
use crate::sanitize::print_prompt;
use crate::state::{Asked, Pause, State};
use crate::util::duration;
use crate::util::text;

/// `pp-fetcher rollback APP [RELEASE]`.
pub(crate) fn rollback(arguments: &Arguments, app: &str, release: Option<&str>, yes: bool) -> u8 {
    on(arguments, app, |app| {
        let output = Output::choose(Level::All);
        let mut voice = output.voice();
        let state = arguments.state();
        let ended = match pass::lock(app, &state, of_a_person(&app.name)) {
            Ok(Pass::Completed(locked)) => pass::rollback(
                locked,
                app,
                &state,
                release,
                |crossed| confirm(&app.name, crossed, yes),
                &mut *voice,
            )
            .map(Pass::Completed),
            Ok(Pass::Busy) => return busy(app),
            Err(error) => Err(error),
        };
        voice.report_result(&app.name, &ended);
        poll::note(app, arguments, Trigger::Forced, &ended);
        u8::from(!is_well(&ended))
    })
}

/// Tells what a rollback crosses, and asks whether it is to go on: on a terminal a person, else `--yes`.
fn confirm(app: &str, crossed: &str, yes: bool) -> bool {
    print_error(&format!("{app}: {crossed}"));
    if yes || !std::io::stdin().is_terminal() {
        return yes;
    }
    print_prompt("go back all the same? [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().lock().take(100).read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// `pp-fetcher retry APP`.
pub(crate) fn retry(arguments: &Arguments, app: &str) -> u8 {
    change(arguments, app, |state| {
        let lifted = state.lift();
        let lifted: Vec<_> = lifted.iter().map(|revision| revision.short()).collect();
        if lifted.is_empty() {
            "nothing is held back; the next poll tries what is followed".to_owned()
        } else {
            format!(
                "no longer held back: {}; the next poll tries what is followed",
                lifted.join(", ")
            )
        }
    })
}

/// `pp-fetcher accept-rewrite APP REVISION`.
pub(crate) fn accept_rewrite(arguments: &Arguments, app: &str, revision: &str) -> u8 {
    attempt(arguments, app, |state| {
        let accepted = state.accept_rewrite(revision, Timestamp::now())?;
        Ok(format!(
            "accepted: {accepted} may go live although it leaves the live history; the next poll \
             tries it if it is what is followed"
        ))
    })
}

/// `pp-fetcher pause APP --reason … [--until …]`.
pub(crate) fn pause(arguments: &Arguments, app: &str, reason: &str, until: Option<&str>) -> u8 {
    let since = Timestamp::now();
    let until = match end(until, since) {
        Ok(until) => until,
        Err(code) => return code,
    };
    let pause = Pause {
        reason: reason.to_owned(),
        since,
        until,
    };
    change(arguments, app, |state| {
        let told = paused(app, &pause).text();
        state.paused = Some(pause);
        told
    })
}

/// `pp-fetcher resume APP`.
pub(crate) fn resume(arguments: &Arguments, app: &str) -> u8 {
    change(arguments, app, |state| match state.paused.take() {
        Some(pause) => {
            let reason = text::line(pause.reason.as_bytes());
            format!("goes on; it was paused: {reason}")
        }
        None => "was not paused".to_owned(),
    })
}

/// `pp-fetcher redeploy APP`.
pub(crate) fn redeploy(arguments: &Arguments, app: &str) -> u8 {
    attempt(arguments, app, |state| {
        let Some(live) = &state.live else {
            return Err("nothing is live yet; the first poll deploys what is followed".to_owned());
        };
        let told = format!(
            "the next poll makes a new release of {}",
            live.revision.short()
        );
        state.asked = Some(Asked::Redeploy);
        state.trouble = None;
        Ok(told)
    })
}

/// Changes an app's state under its lock, and prints what was changed.
fn change(arguments: &Arguments, app: &str, change: impl FnOnce(&mut State) -> String) -> u8 {
    attempt(arguments, app, |state| Ok(change(state)))
}

/// Changes an app's state as [`change`] does; if the change is not possible, the state stays as it was.
fn attempt(
    arguments: &Arguments,
    app: &str,
    change: impl FnOnce(&mut State) -> Result<String, String>,
) -> u8 {
    on(arguments, app, |app| {
        let changed = match pass::lock(app, &arguments.state(), of_a_person(&app.name)) {
            Ok(Pass::Completed(locked)) => pass::change(locked, app, change),
            Ok(Pass::Busy) => return busy(app),
            Err(error) => Err(error),
        };
        report(app, changed)
    })
}

fn report(app: &App, changed: Result<Result<String, String>, Error>) -> u8 {
    match changed {
        Ok(Ok(told)) => {
            say(&format!("{}: {told}\n", app.name));
            OK
        }
        Ok(Err(why)) => {
            print_error(&format!("{}: {why}", app.name));
            USAGE
        }
        Err(error) => {
            print_error(&format!("{}: {error}", app.name));
            FAILED
        }
    }
}

/// Reports that another pass holds the app's lock. This is a failure: the command was not carried out and
/// must be repeated.
fn busy(app: &App) -> u8 {
    print_error(&format!(
        "a pass over {} is at work: try again when it is done",
        app.name
    ));
    FAILED
}

pub(super) fn on(arguments: &Arguments, app: &str, work: impl FnOnce(&App) -> u8) -> u8 {
    match one_app(arguments, app) {
        Ok(app) => work(&app),
        Err(code) => code,
    }
}

/// Reads `--until`, if it is given. A mistake is printed, and its exit code given.
pub(super) fn end(until: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, u8> {
    let until = until.map(|text| moment(text, now)).transpose();
    until.map_err(|why| {
        print_error(&format!("--until: {why}"));
        USAGE
    })
}

/// Parses a point in time as people write it: `2h` from now, or `2026-12-24T18:00Z`.
fn moment(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let wrong = || {
        format!(
            "`{text}` is no time: write how long, \"2h\" or \"3d\", or when, \"2026-12-24T18:00:00Z\""
        )
    };
    let at = match duration::parse(text) {
        Ok(length) => now + length,
        Err(_) => text.parse().map_err(|_| wrong())?,
    };
    if at <= now {
        Err(format!("{at} has passed"))
    } else {
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_length_or_a_time_to_come() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(moment("2h", now).unwrap().as_second(), 7200);
        assert_eq!(moment("1970-01-01T00:01:00Z", now).unwrap().as_second(), 60);
        assert!(
            moment("1969-12-31T00:00:00Z", now)
                .unwrap_err()
                .contains("passed")
        );
        for text in ["", "tomorrow", "0s"] {
            assert!(moment(text, now).is_err(), "{text}");
        }
    }
}
