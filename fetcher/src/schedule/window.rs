//! Windows of a week, expanded into instants. A window begins at a wall clock's time in its zone and then has a length,
//! so that no change of the clocks shortens, lengthens or loses one: a time that the clocks skip is taken as later by
//! what they skip, and of one that comes twice the first (jiff's "compatible", RFC 5545's rule).

use std::time::Duration;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

/// The longest window.
pub(crate) const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// How many days from today on are looked at: every window of a week begins once within them.
const DAYS_AHEAD: i32 = 8;

/// A window: on these days it begins at this time, and is open for so long.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    /// The days on which it begins; every day if empty.
    pub days: Vec<Weekday>,
    /// When it begins, by the clocks of its zone.
    pub start: Time,
    /// How long it is open.
    pub length: Duration,
    /// Its zone.
    pub zone: TimeZone,
}

/// A time in which deploys may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Opening {
    /// The first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
}

impl Window {
    /// Gives the openings that are not over at `now`, of those that begin until a week from now.
    fn openings(&self, now: Timestamp) -> impl Iterator<Item = Opening> {
        let today = now.to_zoned(self.zone.clone()).date();
        let length = i32::try_from(self.length.as_secs().div_ceil(24 * 3600)).unwrap_or(7);
        // One day more before: in another zone today may have begun a day earlier.
        let days = -(length + 1)..=DAYS_AHEAD;
        let dates = days.filter_map(move |day| today.checked_add(day.days()).ok());
        let wanted = |date: &Date| self.days.is_empty() || self.days.contains(&date.weekday());
        dates.filter(wanted).filter_map(move |date| {
            let at = self.zone.to_ambiguous_zoned(date.to_datetime(self.start));
            let from = at.compatible().ok()?.timestamp();
            let until = from.checked_add(self.length).ok()?;
            (until > now).then_some(Opening { from, until })
        })
    }
}

/// Gives the openings of all windows from `now` on, in order: any open window allows, so those that touch are one.
pub(crate) fn openings(windows: &[Window], now: Timestamp) -> Vec<Opening> {
    let mut all: Vec<Opening> = windows
        .iter()
        .flat_map(|window| window.openings(now))
        .collect();
    all.sort();
    let mut joined: Vec<Opening> = Vec::new();
    for next in all {
        match joined.last_mut() {
            Some(last) if next.from <= last.until => last.until = last.until.max(next.until),
            _ => joined.push(next),
        }
    }
    joined
}

/// Gives the first opening from `now` on in which `needed` is left; `None` if none of the coming week is so long.
pub(crate) fn next(windows: &[Window], now: Timestamp, needed: Duration) -> Option<Opening> {
    let needed = SignedDuration::try_from(needed).unwrap_or(SignedDuration::MAX);
    let fits = |opening: &Opening| opening.until.duration_since(now.max(opening.from)) >= needed;
    openings(windows, now).into_iter().find(fits)
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
