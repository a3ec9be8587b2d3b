//! The judgement of an app's health: turns observations over time into "well" or "not well, because ...".
//!
//! An app has the time `within` to become well once, and must then stay well for the time `steady`. A unit that
//! failed, or that systemd had to start again, is judged at once: an app that crashes while it starts does
//! so after its unit has said READY.

use std::collections::BTreeMap;
use std::time::Duration;

use super::answer::Answer;
use super::fault::{Fault, HealthFailure};
use super::holder::ForeignHolder;
use super::judge::{self, Expected};
use super::unit::UnitSeen;
use crate::util::duration::human;

/// One observation: the units, the health URL and the process that answers there, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Observation {
    /// Every unit that was restarted or reloaded, in order.
    pub units: Vec<UnitSeen>,
    /// The health URL's answer; `None` if no health URL is configured.
    pub answer: Option<Answer>,
    /// A process of pp-fetcher's user that answers at the health URL and belongs to none of the units.
    pub stranger: Option<ForeignHolder>,
}

/// A watch over one app after a restart.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    expected: Expected<'a>,
    well_since: Option<Duration>,
    first: BTreeMap<String, UnitSeen>,
    /// A process that has answered in the app's place: it may be the reason why a unit could not start.
    stranger: Option<ForeignHolder>,
}

/// The judgement after an observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The app is well, and has been for long enough.
    Well,
    /// Not decided yet: another observation is needed.
    Wait,
    /// The app is not well.
    NotWell(HealthFailure),
}

impl<'a> Watch<'a> {
    /// Makes a watch without any observation.
    #[must_use]
    pub(crate) fn new(expected: Expected<'a>) -> Self {
        Self {
            expected,
            well_since: None,
            first: BTreeMap::new(),
            stranger: None,
        }
    }

    /// Judges one observation, made the time `at` after the watch began.
    pub(crate) fn observe(&mut self, at: Duration, seen: Observation) -> Verdict {
        let fault = self.fault(&seen);
        let waits = matches!(seen.answer, Some(Answer::Waiting(_)));
        // A good answer without a stranger clears a stranger that was seen for a moment; without a good answer,
        // strangers are not looked for.
        let good = |a: &Answer| matches!(a, Answer::Status { status, .. } if self.expected.health.expect.has(*status));
        if seen.stranger.is_some() || seen.answer.as_ref().is_some_and(good) {
            self.stranger = seen.stranger;
        }
        for unit in seen.units {
            match self.first.get_mut(&unit.name) {
                // A hand-over to another main process is noted once.
                Some(first) => first.main_pid = unit.main_pid,
                None => {
                    self.first.insert(unit.name.clone(), unit);
                }
            }
        }
        let (steady, within) = (self.expected.health.steady, self.expected.health.within);
        let Some(fault) = fault else {
            let since = *self.well_since.get_or_insert(at);
            return if at.saturating_sub(since) >= steady {
                Verdict::Well
            } else {
                Verdict::Wait
            };
        };
        // A request that still waits is no answer yet, and does not undo the good answers before it; the request
        // has a timeout of its own.
        if waits && self.well_since.is_some() && fault.key == judge::NO_ANSWER {
            return Verdict::Wait;
        }
        let when = match self.well_since.take() {
            _ if fault.is_final => String::new(),
            _ if at < within => return Verdict::Wait,
            Some(_) => ", after it had been well".to_owned(),
            None => format!(", still after {}", human(within)),
        };
        Verdict::NotWell(self.beside_a_stranger(fault.illness(&when)))
    }

    /// Adds the stranger to the failure: a unit that ends while another process answers in its place has found
    /// its address in use.
    fn beside_a_stranger(&self, illness: HealthFailure) -> HealthFailure {
        let other = judge::stranger(&self.expected, self.stranger.as_ref());
        match other.map(|fault| fault.illness("")) {
            Some(other) if other.key != illness.key => HealthFailure {
                what: format!("{}\n  {}", illness.what, other.what),
                ..other
            },
            _ => illness,
        }
    }

    /// Gives the failure that one observation shows by itself, if any.
    #[must_use]
    pub(crate) fn at_once(&self, seen: &Observation) -> Option<HealthFailure> {
        self.fault(seen).map(|fault| fault.illness(""))
    }

    fn fault(&self, seen: &Observation) -> Option<Fault> {
        let units = seen.units.iter().find_map(|unit| {
            let first = self.first.get(&unit.name);
            judge::unit(&self.expected, unit, first)
        });
        let answer = || judge::answer(&self.expected, seen.answer.as_ref());
        let stranger = || judge::stranger(&self.expected, seen.stranger.as_ref());
        units.or_else(answer).or_else(stranger)
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
