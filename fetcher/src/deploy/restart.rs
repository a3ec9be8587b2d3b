//! Asking the restarter, and reading its answers.

use std::time::Duration;

use pp_protocol::explain::{Explanation, explain};
use pp_protocol::{
    ActiveState, Answer, Client, ClientError, Grant, JobResult, Outcome, Report, UnitName, Verb,
};

use super::failure::Failure;
use super::journal::Phase;
use crate::config::App;
use crate::config::duration::human;
use crate::health::Host;

/// How long we wait, all in all, while the restarter says "too many": its default limit lets one
/// through every 15 s.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to do about a unit that is not allowed.
const HOW_TO_ALLOW: &str = "an administrator allows it in /etc/pp-restarter/policy.d/*.toml, and \
                            `pp-restart --list` shows what is allowed";

/// Whoever restarts units for us.
pub trait Restarter {
    /// Everything it would do for us.
    ///
    /// # Errors
    /// It cannot be asked.
    fn grants(&self) -> Result<Vec<Grant>, ClientError>;

    /// Does it, waits, reports. Never asks twice.
    ///
    /// # Errors
    /// It cannot be asked, or its answer did not come.
    fn act(&self, verb: Verb, unit: &UnitName) -> Result<Answer, ClientError>;
}

impl Restarter for Client {
    fn grants(&self) -> Result<Vec<Grant>, ClientError> {
        self.list()
    }

    fn act(&self, verb: Verb, unit: &UnitName) -> Result<Answer, ClientError> {
        Self::act(self, verb, unit)
    }
}

/// Every unit of `app` with what is done to it, in order.
fn orders(app: &App) -> impl Iterator<Item = (Verb, &UnitName)> {
    let restarts = app.restart.iter().map(|unit| (Verb::Restart, unit));
    restarts.chain(app.reload.iter().map(|unit| (Verb::Reload, unit)))
}

/// Asks beforehand whether everything that will be needed is allowed: found out after the switch,
/// it would cost a way back.
///
/// # Errors
/// Which unit is not, and what the administrator has to write where.
pub fn check_permitted(restarter: &dyn Restarter, app: &App) -> Result<(), Failure> {
    let fail = |what: String| Failure::surroundings(Phase::Look, what);
    if orders(app).next().is_none() {
        return Ok(());
    }
    let grants = restarter.grants().map_err(|e| fail(unreachable(&e)))?;
    let granted = |verb, unit: &UnitName| {
        let is = |grant: &Grant| grant.unit == unit.as_str() && grant.verb == verb;
        grants.iter().any(is)
    };
    match orders(app).find(|(verb, unit)| !granted(*verb, unit)) {
        None => Ok(()),
        Some((verb, unit)) => Err(fail(format!(
            "the restarter does not let this user {} {unit}, so nothing was deployed\n  \
             {HOW_TO_ALLOW}",
            verb.as_str()
        ))),
    }
}

/// Restarts and reloads what `app` says, in order. `note` is told whenever the restarter makes us
/// wait: a deploy that stands still without a word looks like one that hangs.
///
/// Returns a sentence for each unit of which nobody knows what came of it: the probe finds out.
///
/// # Errors
/// The first unit that did not come back, or that the restarter did not take on.
pub fn restart_all(
    restarter: &dyn Restarter,
    host: &dyn Host,
    app: &App,
    phase: Phase,
    note: &mut dyn FnMut(&str),
) -> Result<Vec<String>, Failure> {
    let mut unknown = Vec::new();
    for (verb, unit) in orders(app) {
        let answer = patiently(restarter, host, verb, unit, note);
        if matches!(&answer, Ok(Answer::Finished(report)) if has_done_its_work(host, unit, report))
        {
            continue;
        }
        unknown.extend(read(answer, verb, unit, phase)?);
    }
    Ok(unknown)
}

/// Whether a unit has ended well, as Type=oneshot is to. The report does not tell the type.
fn has_done_its_work(host: &dyn Host, unit: &UnitName, report: &Report) -> bool {
    let ended = report.job == JobResult::Done
        && report.active == ActiveState::Inactive
        && report.result == "success";
    let is_oneshot = || {
        host.unit(unit)
            .is_ok_and(|seen| seen.setup.kind == "oneshot")
    };
    ended && is_oneshot()
}

fn patiently(
    restarter: &dyn Restarter,
    host: &dyn Host,
    verb: Verb,
    unit: &UnitName,
    note: &mut dyn FnMut(&str),
) -> Result<Answer, ClientError> {
    let give_up = host.now() + PATIENCE;
    loop {
        match restarter.act(verb, unit)? {
            Answer::Busy(wait) if host.now() + wait < give_up => {
                let time = human(wait);
                note(&format!(
                    "waiting {time} for the restarter's limit on {unit}"
                ));
                host.sleep(wait.max(Duration::from_millis(50)));
            }
            answer => return Ok(answer),
        }
    }
}

/// `Ok(Some(note))` where nobody knows what came of it: then the probe has to find out.
fn read(
    answer: Result<Answer, ClientError>,
    verb: Verb,
    unit: &UnitName,
    phase: Phase,
) -> Result<Option<String>, Failure> {
    let surroundings = |what: String| Err(Failure::surroundings(phase, what));
    match answer {
        Ok(Answer::Finished(report)) => match report.outcome(verb) {
            Outcome::Restarted | Outcome::Reloaded => Ok(None),
            Outcome::Unknown => Ok(Some(told(unit, verb, &report))),
            Outcome::Refused => surroundings(told(unit, verb, &report)),
            Outcome::NotRunning | Outcome::Failed => {
                Err(Failure::revision(phase, told(unit, verb, &report)))
            }
        },
        Ok(Answer::Denied) => {
            // It was allowed before the switch: the policy has changed since.
            surroundings(format!(
                "the restarter refused to {} {unit}\n  {HOW_TO_ALLOW}",
                verb.as_str()
            ))
        }
        Ok(Answer::Busy(wait)) => surroundings(format!(
            "too many restarts of {unit}: the restarter takes the next one in {}, and a deploy \
             waits {} at most\n  an administrator sets the limit in \
             /etc/pp-restarter/policy.d/*.toml",
            human(wait),
            human(PATIENCE)
        )),
        Err(error) if error.outcome_unknown() => Ok(Some(error.to_string())),
        Err(error) => surroundings(unreachable(&error)),
    }
}

fn unreachable(error: &ClientError) -> String {
    format!("{error}\n  `systemctl status pp-restarter.socket` shows whether it is there")
}

fn told(unit: &UnitName, verb: Verb, report: &Report) -> String {
    let Explanation { summary, advice } = explain(unit.as_str(), verb, report);
    std::iter::once(summary)
        .chain(advice)
        .collect::<Vec<_>>()
        .join("\n  ")
}
