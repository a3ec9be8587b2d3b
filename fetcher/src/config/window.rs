//! The tables `[[window]]`, checked.

use std::time::Duration;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use super::fragment;
use crate::schedule::window::{LONGEST, Window};
use crate::util::duration::human;

/// The days, as they are written.
const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// Checks the windows of an app that is polled at `interval`, and whose deploy needs `needed` for its restart, its probe
/// and its way back.
///
/// # Errors
/// A sentence that names the wrong key.
pub(super) fn windows(
    written: Vec<fragment::Window>,
    interval: Duration,
    needed: Duration,
) -> Result<Vec<Window>, String> {
    let mut windows = Vec::new();
    for window in written {
        let window = window_of(window)?;
        let length = human(window.length);
        if window.length < interval * 2 {
            return Err(format!(
                "`window.length`: {length} is less than twice the interval ({}), so that a poll could miss the window",
                human(interval)
            ));
        }
        if window.length < needed {
            return Err(format!(
                "`window.length`: in {length} no deploy could begin: its restart, its probe and a way back may take {} \
                 (twice `within` and `steady` under [health], and a minute)",
                human(needed)
            ));
        }
        windows.push(window);
    }
    Ok(windows)
}

fn window_of(written: fragment::Window) -> Result<Window, String> {
    let missing =
        |key: &str, such: &str| format!("`window.{key}` is missing, such as {key} = {such}");
    let start = written.start.ok_or_else(|| missing("start", "\"22:00\""))?;
    let length = written.length.ok_or_else(|| missing("length", "\"2h\""))?.0;
    let zone = written
        .tz
        .ok_or_else(|| missing("tz", "\"Europe/Berlin\" or \"UTC\""))?;
    if length > LONGEST {
        return Err("`window.length`: a window is open for a week at most".to_owned());
    }
    let parsed = (start.len() == 5).then(|| start.parse().ok()).flatten();
    let zone = TimeZone::get(&zone).map_err(|_| {
        format!(
            "`window.tz`: {zone:?} is no time zone that this host knows: a name such as \"Europe/Berlin\" or \"UTC\", \
             as in /usr/share/zoneinfo (package tzdata)"
        )
    })?;
    let day = |name: &String| {
        let known = DAYS.iter().find(|(known, _)| known == name);
        known.map(|(_, day)| *day).ok_or_else(|| {
            format!("`window.days`: {name:?} is none of mon, tue, wed, thu, fri, sat and sun")
        })
    };
    let days: Result<Vec<_>, _> = written.days.iter().flatten().map(day).collect();
    if written.days.as_ref().is_some_and(Vec::is_empty) {
        return Err(
            "`window.days` is empty, so that it is never open: leave it out for every day"
                .to_owned(),
        );
    }
    Ok(Window {
        days: days?,
        start: parsed
            .ok_or_else(|| format!("`window.start`: {start:?} is no time such as \"22:00\""))?,
        length,
        zone,
    })
}
