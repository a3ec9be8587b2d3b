//! Whether a deploy may begin or go on now: a freeze, or a window that is closed, holds every new revision.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::window::{Opening, next};
use crate::config::App;
use crate::config::settings::way_back;
use crate::state::{Freeze, FreezeFile};
use crate::util::text;

/// Why nothing new may be deployed now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Hold {
    /// The word for it: `frozen` or `window`.
    pub code: &'static str,
    /// The reason in words.
    pub what: String,
    /// When it ends by itself, if that is known.
    pub until: Option<Timestamp>,
}

/// Gives what holds the app now, if anything does.
pub(crate) fn hold(app: &App, freezes: &FreezeFile, now: Timestamp) -> Option<Hold> {
    frozen(&app.name, freezes, now).or_else(|| closed(app, now))
}

fn frozen(app: &str, freezes: &FreezeFile, now: Timestamp) -> Option<Hold> {
    match freezes.read() {
        Ok(all) => all.of(app, now).map(|freeze| Hold {
            code: "frozen",
            what: describe(freeze),
            until: freeze.until,
        }),
        // What cannot be read may be a freeze.
        Err(error) => Some(Hold {
            code: "frozen",
            what: format!("whether the app is frozen cannot be read: {error}"),
            until: None,
        }),
    }
}

/// Describes a freeze in one line.
pub(crate) fn describe(freeze: &Freeze) -> String {
    let by = freeze
        .by
        .as_deref()
        .map(|name| format!(" by {}", text::line(name.as_bytes())));
    let until = freeze.until.map_or_else(
        || "until `pp-fetcher thaw`".to_owned(),
        |until| format!("until {}", until.strftime("%Y-%m-%d %H:%M UTC")),
    );
    let reason = text::line(freeze.reason.as_bytes());
    format!("frozen{}: {reason} ({until})", by.unwrap_or_default())
}

fn closed(app: &App, now: Timestamp) -> Option<Hold> {
    if app.windows.is_empty() {
        return None;
    }
    let opening = next(&app.windows, now, way_back(&app.health));
    if opening.is_some_and(|opening| opening.from <= now) {
        return None;
    }
    let when = opening.map_or_else(
        || "no window of the coming week is long enough".to_owned(),
        |opening| format!("the next window opens {}", local(app, opening.from)),
    );
    Some(Hold {
        code: "window",
        what: when,
        until: opening.map(|opening| opening.from),
    })
}

/// Gives the window that is open now or opens next, as people read it.
pub(crate) fn window(app: &App, now: Timestamp) -> Option<String> {
    if app.windows.is_empty() {
        return None;
    }
    let opening = next(&app.windows, now, way_back(&app.health));
    Some(match opening {
        Some(Opening { from, until }) if from <= now => format!("open until {}", local(app, until)),
        Some(Opening { from, until }) => {
            format!("opens {}, until {}", local(app, from), local(app, until))
        }
        None => "none of the coming week is long enough".to_owned(),
    })
}

/// Gives the time until the app's next window opens, if it is closed: the service then polls at once.
pub(crate) fn until_opening(app: &App, now: Timestamp) -> Option<Duration> {
    let from = next(&app.windows, now, way_back(&app.health))?.from;
    (from > now).then(|| from.duration_since(now).unsigned_abs())
}

/// A moment in the zone of the app's first window, with its offset: in which zone a time is meant is never a guess.
fn local(app: &App, at: Timestamp) -> String {
    let zone = app.windows.first().map(|window| window.zone.clone());
    let zoned = at.to_zoned(zone.unwrap_or(jiff::tz::TimeZone::UTC));
    zoned.strftime("%a %Y-%m-%d %H:%M %:z").to_string()
}
