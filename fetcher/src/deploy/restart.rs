//! Asking the restarter, and reading its answers.

use std::time::Duration;

use pp_protocol::explain::{Explanation, explain};
use pp_protocol::{
    ActiveState, Answer, Client, ClientError, Grant, JobResult, Outcome, Report, UnitName, Verb,
};

use super::failure::Failure;
use super::step::Step;
use crate::config::App;
use crate::health::Host;
use crate::util::duration::human;

/// How long we wait, all in all, while the restarter says "too many": its default limit lets one
/// through every 15 s.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to do about a unit that is not allowed.
const HOW_TO_ALLOW: &str = "an administrator allows it in /etc/pp-restarter/policy.d/*.toml, and \
                            `pp-restart --list` shows what is allowed";

/// Whoever restarts units for us.
pub(crate) trait Restarter {
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

/// Every unit of `app` with what is done to it, in order. A restart where that is allowed, as it starts what has never
/// run; where only a try-restart is, that is enough for whatever runs.
fn orders<'a>(app: &'a App, grants: &[Grant]) -> impl Iterator<Item = (Verb, &'a UnitName)> {
    let restarts = app.restart.iter().map(|unit| {
        let only_if_running =
            !is_granted(grants, Verb::Restart, unit) && is_granted(grants, Verb::TryRestart, unit);
        match only_if_running {
            true => (Verb::TryRestart, unit),
            false => (Verb::Restart, unit),
        }
    });
    restarts.chain(app.reload.iter().map(|unit| (Verb::Reload, unit)))
}

fn is_granted(grants: &[Grant], verb: Verb, unit: &UnitName) -> bool {
    let is = |grant: &Grant| grant.unit == unit.as_str() && grant.verb == verb;
    grants.iter().any(is)
}

fn has_units(app: &App) -> bool {
    !app.restart.is_empty() || !app.reload.is_empty()
}

/// Asks beforehand whether everything that will be needed is allowed: found out after the switch,
/// it would cost a way back.
///
/// # Errors
/// Which unit is not, and what the administrator has to write where.
pub(crate) fn check_permitted(
    restarter: &dyn Restarter,
    host: &dyn Host,
    app: &App,
) -> Result<(), Failure> {
    let fail = |what: String| Failure::environment(Step::Look, what);
    if !has_units(app) {
        return Ok(());
    }
    let grants = restarter.grants().map_err(|e| fail(unreachable(&e)))?;
    match orders(app, &grants).find(|(verb, unit)| !is_granted(&grants, *verb, unit)) {
        None => {
            let stopped = |(verb, unit): &(Verb, &UnitName)| {
                let seen = host.unit(unit).ok();
                let is =
                    seen.is_some_and(|seen| ["inactive", "failed"].contains(&seen.active.as_str()));
                *verb == Verb::TryRestart && is
            };
            match orders(app, &grants).find(stopped) {
                Some((_, unit)) => Err(fail(only_what_runs(unit))),
                None => Ok(()),
            }
        }
        Some((verb, unit)) => Err(fail(format!(
            "the restarter does not let this user {} {unit}, so nothing was deployed{}\n  \
             {HOW_TO_ALLOW}",
            verb.as_str(),
            too_many_groups()
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
pub(crate) fn restart_all(
    restarter: &dyn Restarter,
    host: &dyn Host,
    app: &App,
    step: Step,
    note: &mut dyn FnMut(&str),
) -> Result<Vec<String>, Failure> {
    let mut unknown = Vec::new();
    // Known from before the switch; where they cannot be had now, asking shows why.
    let grants = match has_units(app) {
        true => restarter.grants().unwrap_or_default(),
        false => Vec::new(),
    };
    for (verb, unit) in orders(app, &grants) {
        let answer = retry_while_refused(restarter, host, verb, unit, note);
        if matches!(&answer, Ok(Answer::Finished(report)) if has_done_its_work(host, unit, report))
        {
            continue;
        }
        unknown.extend(read(answer, verb, unit, step)?);
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

fn retry_while_refused(
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
    step: Step,
) -> Result<Option<String>, Failure> {
    let environment = |what: String| Err(Failure::environment(step, what));
    match answer {
        Ok(Answer::Finished(report)) => match report.outcome(verb) {
            Outcome::Restarted | Outcome::Reloaded => Ok(None),
            Outcome::Unknown => Ok(Some(describe_report(unit, verb, &report))),
            Outcome::Refused => environment(describe_report(unit, verb, &report)),
            Outcome::NotRunning if report.left_stopped(verb) => environment(only_what_runs(unit)),
            Outcome::NotRunning | Outcome::Failed => Err(Failure::revision(
                step,
                describe_report(unit, verb, &report),
            )),
        },
        Ok(Answer::Denied) => {
            // It was allowed before the switch: the policy has changed since.
            environment(format!(
                "the restarter refused to {} {unit}\n  {HOW_TO_ALLOW}",
                verb.as_str()
            ))
        }
        Ok(Answer::Busy(wait)) => environment(format!(
            "too many restarts of {unit}: the restarter takes the next one in {}, and a deploy \
             waits {} at most\n  an administrator sets the limit in \
             /etc/pp-restarter/policy.d/*.toml",
            human(wait),
            human(PATIENCE)
        )),
        Err(error) if error.outcome_unknown() => Ok(Some(error.to_string())),
        Err(error) => environment(unreachable(&error)),
    }
}

fn only_what_runs(unit: &UnitName) -> String {
    format!(
        "{unit} does not run, and the restarter lets this user restart only what runs (try-restart)\n  \
         as root: systemctl start {unit}, then pp-fetcher poll; or allow \"restart\" in /etc/pp-restarter/policy.d/*.toml"
    )
}

/// The reason that the restarter itself gives nobody: more groups than it reads.
fn too_many_groups() -> String {
    let count = pp_protocol::client::groups_beyond_reading();
    count.map_or_else(String::new, |count| {
        format!(
            ": it is in {count} groups, and the restarter refuses whoever is in more than {}",
            pp_protocol::client::MOST_GROUPS
        )
    })
}

fn unreachable(error: &ClientError) -> String {
    format!("{error}\n  `systemctl status pp-restarter.socket` shows whether it is there")
}

fn describe_report(unit: &UnitName, verb: Verb, report: &Report) -> String {
    let Explanation { summary, advice } = explain(unit.as_str(), verb, report);
    std::iter::once(summary)
        .chain(advice)
        .collect::<Vec<_>>()
        .join("\n  ")
}
