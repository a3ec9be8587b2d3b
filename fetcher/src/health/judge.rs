//! Finds the fault in one observation: of a unit, of the health URL's answer, of the process that answers.

use std::path::{Path, PathBuf};

use super::answer::Answer;
use super::fault::Fault;
use super::hint::hint;
use super::holder::ForeignHolder;
use super::unit::{ProcessSeen, UnitSeen};
use crate::config::health::Health;
use crate::util::duration::human;

/// The [`Fault::key`] of a health URL that gives no answer.
pub(super) const NO_ANSWER: &str = "no answer";

/// The state that a healthy app must be in: the measure of every judgement.
#[derive(Debug, Clone)]
pub(crate) struct Expected<'a> {
    /// The release that the units must run from.
    pub release: &'a Path,
    /// The directory of all releases of the app.
    pub releases: &'a Path,
    /// The link `current`.
    pub current: &'a Path,
    /// The conditions under which the app is well.
    pub health: &'a Health,
    /// Units that are only reloaded.
    pub reloaded: Vec<&'a str>,
    /// Units that the configuration says work outside of the release.
    pub elsewhere: Vec<&'a str>,
}

/// Finds the fault of a unit; `first` is the first observation of the same unit.
pub(super) fn unit(
    expected: &Expected<'_>,
    unit: &UnitSeen,
    first: Option<&UnitSeen>,
) -> Option<Fault> {
    let name = &unit.name;
    let key = |what: &str| format!("{name} {what}");
    // A unit whose stop took too long is `failed` for a moment during a restart, before its start.
    if unit.active == "failed" && !unit.in_job {
        return Some(Fault::last(
            key(&format!("failed {}", unit.result)),
            format!("{name} failed ({})", unit.result),
        ));
    }
    // A restart of a unit that waits for systemd to start it again does not reset the count (a socket used
    // before the first release leaves a unit so): only an increase of the count is a fault.
    if first.is_some_and(|first| unit.restarts > first.restarts) {
        return Some(Fault::last(
            key("ended"),
            format!(
                "{name} ended and systemd had to start it again ({})",
                unit.result
            ),
        ));
    }
    // Between a unit's end and its next start systemd waits for the unit's RestartSec=.
    if unit.sub.starts_with("auto-restart") {
        return Some(Fault::last(
            key("ended"),
            format!(
                "{name} ended and systemd waits to start it again ({})",
                unit.result
            ),
        ));
    }
    if has_done_its_work(unit) {
        return None;
    }
    if unit.active != "active" {
        return Some(Fault::passing(
            key(&unit.active),
            format!("{name} is {} ({})", unit.active, unit.sub),
        ));
    }
    first
        .and_then(|first| replaced(unit, first))
        .or_else(|| place(expected, unit))
}

/// Checks whether the unit is of Type=oneshot and has ended well, as such a unit is meant to.
fn has_done_its_work(unit: &UnitSeen) -> bool {
    unit.setup.kind == "oneshot"
        && unit.active == "inactive"
        && unit.result == "success"
        && !unit.in_job
}

/// Gives a fault if the unit's main process has changed since `first` without a restart by systemd.
fn replaced(unit: &UnitSeen, first: &UnitSeen) -> Option<Fault> {
    let other = first.invocation == unit.invocation
        && first.main_pid != 0
        && first.main_pid != unit.main_pid;
    if !other {
        return None;
    }
    let what = format!(
        "the main process of {} was replaced: pid {} is now {}",
        unit.name, first.main_pid, unit.main_pid
    );
    let key = format!("{} replaced", unit.name);
    // A unit of these types may hand over to another main process; the steady time then begins anew.
    let hands_over = matches!(
        &*unit.setup.kind,
        "forking" | "notify" | "notify-reload" | "dbus"
    );
    Some(if hands_over {
        Fault::passing(key, what)
    } else {
        Fault::last(key, what)
    })
}

/// Gives a fault if the unit runs from another release, or from a directory outside of the releases.
fn place(expected: &Expected<'_>, unit: &UnitSeen) -> Option<Fault> {
    let name = unit.name.as_str();
    if expected.elsewhere.contains(&name) {
        return None;
    }
    let is_old =
        |cwd: &PathBuf| cwd.starts_with(expected.releases) && !cwd.starts_with(expected.release);
    let main = |cwd: &PathBuf| ProcessSeen {
        pid: unit.main_pid,
        name: "the main process".to_owned(),
        cwd: cwd.clone(),
    };
    let old = unit.cwd.iter().filter(|cwd| is_old(cwd)).map(main).next();
    let old = old.or_else(|| unit.processes.iter().find(|p| is_old(&p.cwd)).cloned());
    if let Some(process) = old {
        return Some(fault_from_other_release(expected, name, &process));
    }
    let cwd = unit.cwd.as_ref()?;
    let here = |cwd: &PathBuf| cwd.starts_with(expected.release);
    let known = here(cwd)
        || unit.processes.iter().any(|p| here(&p.cwd))
        // A reload shows nothing about a process that has changed to `/`; a restart starts it through `current`.
        || expected.reloaded.contains(&name)
        || unit.starts_through(expected.current);
    if known {
        return None;
    }
    let fault = Fault::passing(
        format!("{name} elsewhere"),
        format!(
            "the main process of {name} works in {}, not in the new release",
            cwd.display()
        ),
    );
    Some(fault.of_the_setup().mend(unit.advice(expected.current)))
}

fn fault_from_other_release(expected: &Expected<'_>, name: &str, process: &ProcessSeen) -> Fault {
    let release = process.cwd.strip_prefix(expected.releases).ok();
    let release = release.and_then(|below| below.components().next());
    let release = release.map_or_else(String::new, |r| {
        r.as_os_str().to_string_lossy().into_owned()
    });
    let fault = Fault::passing(
        format!("{name} runs from another release"),
        format!(
            "{name} still runs from the release {release}: {} (pid {}) works there",
            process.name, process.pid
        ),
    );
    let mend = if expected.reloaded.contains(&name) {
        format!(
            "its reload does not take up new code: list {name} in `units` under [restart] instead of `reload`"
        )
    } else {
        format!(
            "a restart must end all of its processes: `systemctl cat {name}` shows KillMode= and ExecStop=, and \
             `systemctl status {name}` its processes"
        )
    };
    fault.of_the_setup().mend(mend)
}

/// Finds the fault in the answer of the health URL.
pub(super) fn answer(expected: &Expected<'_>, answer: Option<&Answer>) -> Option<Fault> {
    let health = expected.health;
    match answer? {
        Answer::Status { status, .. } if health.expect.has(*status) => None,
        Answer::Status { status, location } => {
            let what = format!(
                "the health URL answers {status} instead of {}",
                health.expect
            );
            let fault = Fault::passing(format!("status {status}"), what);
            Some(match hint(*status, location.as_deref(), health) {
                Some(hint) => fault.mend(hint),
                None => fault,
            })
        }
        Answer::Failed(why) => Some(Fault::passing(
            NO_ANSWER,
            format!("the health URL does not answer: {why}"),
        )),
        Answer::Waiting(time) => Some(Fault::passing(
            NO_ANSWER,
            format!("the health URL has not answered for {}", human(*time)),
        )),
    }
}

/// Gives a fault if a process that belongs to none of the app's units answers at the health URL.
pub(super) fn stranger(expected: &Expected<'_>, stranger: Option<&ForeignHolder>) -> Option<Fault> {
    let stranger = stranger?;
    let url = expected.health.url.as_ref()?;
    let fault = Fault::passing(
        "answered by a stranger",
        format!(
            "what answers at {url} is not this app: pid {} ({}), which belongs to none of the app's units, holds \
             the socket",
            stranger.pid, stranger.command
        ),
    );
    Some(fault.of_the_setup().mend(format!(
        "`ps -fp {}` shows it: end it if it is left over; if it is part of the app, list its unit under [restart]",
        stranger.pid
    )))
}
