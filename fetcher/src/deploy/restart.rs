//! The restart step: asks the restarter to restart and reload the app's units, and reads its answers.

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

/// How long pp-fetcher waits in all for one unit while the restarter answers "too many": the restarter's
/// default limit allows one restart every 15 s.
const PATIENCE: Duration = Duration::from_secs(60);

/// Advice about a unit that the restarter's policy does not allow.
const HOW_TO_ALLOW: &str = "an administrator allows it in /etc/pp-restarter/policy.d/*.toml, and \
                            `pp-restart --list` shows what is allowed";

/// A restarter of units: pp-restarter through its [`Client`], or a stand-in in tests.
pub(crate) trait Restarter {
    /// Lists everything that the restarter would do for this user.
    ///
    /// # Errors
    /// The restarter cannot be reached.
    fn grants(&self) -> Result<Vec<Grant>, ClientError>;

    /// Has the restarter do `verb` to `unit`, and waits for its answer. Never sends the request twice.
    ///
    /// # Errors
    /// The restarter cannot be reached, or its answer did not come.
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

/// Gives every unit of `app` with its verb, in order. A restart where the policy allows one, as a restart also
/// starts a unit that has never run; a try-restart where only that is allowed: enough for a unit that runs.
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

/// Checks before the deploy that the restarter allows every action the deploy needs: a refusal after the
/// switch would cost a way back.
///
/// # Errors
/// The unit that is not allowed, and what the administrator has to write in which file.
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
            "the restarter does not let this user {} {unit}{}\n  \
             {HOW_TO_ALLOW}",
            verb.as_str(),
            too_many_groups()
        ))),
    }
}

/// Restarts and reloads the units of `app`, in order. `note` is called whenever the restarter makes pp-fetcher
/// wait: a deploy that pauses without a message looks as if it hangs.
///
/// Returns a sentence for each unit whose restart or reload has an unknown result: the probe finds out.
///
/// # Errors
/// The first unit that did not come back, or that the restarter refused to act on.
pub(crate) fn restart_all(
    restarter: &dyn Restarter,
    host: &dyn Host,
    app: &App,
    step: Step,
    note: &mut dyn FnMut(&str),
) -> Result<Vec<String>, Failure> {
    let mut unknown = Vec::new();
    // The grants were checked before the switch; if they cannot be read now, the first request shows why.
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

/// Checks whether a unit of Type=oneshot has ended well. The report does not have the type; the host has.
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

/// Reads the restarter's answer. `Ok(Some(note))` if the result is unknown: then the probe has to find out.
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
            // The policy allowed the unit before the switch, and has changed since.
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

/// Gives a reason for a refusal that the restarter does not tell callers: the user is in more groups than the
/// restarter reads.
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
