//! The judgement: from observations over time to "well" or "not well, because".
//!
//! An app has `within` to become well once, and must then stay well for `steady` with the same
//! main process. A unit that failed, or that systemd had to start again, is judged at once: an
//! app that crashes while it starts does so after its unit has said READY.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// What was seen of everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Every unit that was restarted, in order.
    pub units: Vec<UnitSeen>,
    /// What the health URL answered; `None` if none is configured.
    pub answer: Option<Result<u16, String>>,
}

/// What was seen of one unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitSeen {
    /// Its name.
    pub name: String,
    /// Whether systemd still has something to do with it: a restart under way, say.
    pub in_job: bool,
    /// `ActiveState`, in systemd's words.
    pub active: String,
    /// `SubState`.
    pub sub: String,
    /// `Result`.
    pub result: String,
    /// `MainPID`; 0 where there is none.
    pub main_pid: u32,
    /// How often systemd started it again by itself since it was last started by hand.
    pub restarts: u32,
    /// `InvocationID`.
    pub invocation: Vec<u8>,
    /// Where its main process works; `None` where that cannot be seen.
    pub cwd: Option<PathBuf>,
}

/// What the judgement goes by.
#[derive(Debug, Clone)]
pub struct Expected<'a> {
    /// The release the units must run from.
    pub release: &'a Path,
    /// The status that means well.
    pub status: u16,
    /// How long it may take to become well.
    pub within: Duration,
    /// How long it must then stay well.
    pub steady: Duration,
}

/// A watch over one app after a restart.
#[derive(Debug)]
pub struct Watch<'a> {
    expected: Expected<'a>,
    well_since: Option<Duration>,
    first: Option<Observation>,
}

/// What an observation decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Well, and for long enough.
    Well,
    /// Look again.
    Wait,
    /// Not well.
    NotWell(String),
}

/// Whether what is wrong can still come right by itself.
enum Fault {
    Passing(String),
    Final(String),
}

impl<'a> Watch<'a> {
    /// A watch that has seen nothing yet.
    #[must_use]
    pub fn new(expected: Expected<'a>) -> Self {
        Self {
            expected,
            well_since: None,
            first: None,
        }
    }

    /// Takes one observation, made `at` this time after the restart.
    pub fn observe(&mut self, at: Duration, seen: Observation) -> Verdict {
        let fault = self.fault(&seen);
        self.first.get_or_insert(seen);
        match fault {
            None => {
                let since = *self.well_since.get_or_insert(at);
                if at.saturating_sub(since) >= self.expected.steady {
                    Verdict::Well
                } else {
                    Verdict::Wait
                }
            }
            Some(Fault::Final(why)) => Verdict::NotWell(why),
            Some(Fault::Passing(why)) => match self.well_since.take() {
                Some(_) if at >= self.expected.within => {
                    Verdict::NotWell(format!("{why}, after it had been well"))
                }
                None if at >= self.expected.within => {
                    let within = crate::config::duration::human(self.expected.within);
                    Verdict::NotWell(format!("{why}, still after {within}"))
                }
                _ => Verdict::Wait,
            },
        }
    }

    fn fault(&self, seen: &Observation) -> Option<Fault> {
        let units = seen.units.iter().enumerate().find_map(|(n, unit)| {
            let first = self.first.as_ref().and_then(|first| first.units.get(n));
            self.unit_fault(unit, first)
        });
        units.or_else(|| self.answer_fault(seen.answer.as_ref()))
    }

    fn unit_fault(&self, unit: &UnitSeen, first: Option<&UnitSeen>) -> Option<Fault> {
        let name = &unit.name;
        // A restart whose stop took too long is `failed` for a moment, before its start.
        if unit.active == "failed" && !unit.in_job {
            return Some(Fault::Final(format!("{name} failed ({})", unit.result)));
        }
        // The count outlives a restart that finds the unit waiting to be started again, as a socket
        // that was asked before the first release leaves it: only what is added to it counts.
        if first.is_some_and(|first| unit.restarts > first.restarts) {
            return Some(Fault::Final(format!(
                "{name} ended and systemd had to start it again ({})",
                unit.result
            )));
        }
        // Between its end and the next start systemd waits as long as the unit says (RestartSec).
        if unit.sub.starts_with("auto-restart") {
            return Some(Fault::Final(format!(
                "{name} ended and systemd waits to start it again ({})",
                unit.result
            )));
        }
        if unit.active != "active" {
            return Some(Fault::Passing(format!(
                "{name} is {} ({})",
                unit.active, unit.sub
            )));
        }
        let replaced = |first: &UnitSeen| {
            first.invocation == unit.invocation
                && first.main_pid != 0
                && first.main_pid != unit.main_pid
        };
        if first.is_some_and(replaced) {
            return Some(Fault::Final(format!(
                "the main process of {name} was replaced: pid {} is now {}",
                first.map_or(0, |first| first.main_pid),
                unit.main_pid
            )));
        }
        match &unit.cwd {
            Some(cwd) if !cwd.starts_with(self.expected.release) => Some(Fault::Passing(format!(
                "the main process of {name} works in {}, not in the new release \
                 (its unit needs WorkingDirectory=…/current)",
                cwd.display()
            ))),
            _ => None,
        }
    }

    fn answer_fault(&self, answer: Option<&Result<u16, String>>) -> Option<Fault> {
        let expected = self.expected.status;
        match answer {
            Some(Ok(status)) if *status != expected => Some(Fault::Passing(format!(
                "the health URL answers {status} instead of {expected}"
            ))),
            Some(Err(why)) => Some(Fault::Passing(format!(
                "the health URL does not answer: {why}"
            ))),
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
