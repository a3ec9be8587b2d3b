//! Turns a [`Report`] into words that a person understands, and names the command that shows more.

use crate::message::Verb;
use crate::report::{ActiveState, JobResult, Outcome, Refusal, Report};

/// One report in words, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What happened to which unit, and why, on one line.
    pub summary: String,
    /// What to do or which command to run next, one line each; empty if there is nothing to do.
    pub advice: Vec<String>,
}

/// Puts `report`, the result of a request to do `verb` to `unit`, into words.
#[must_use]
pub fn explain(unit: &str, verb: Verb, report: &Report) -> Explanation {
    let journal = format!("see: journalctl -u {unit} -n 50");
    let state = state(report);
    let mut advice = Vec::new();
    let summary = match report.outcome(verb) {
        Outcome::Restarted => format!("{unit} was restarted and is {state}{}", took(report)),
        Outcome::Reloaded => format!("{unit} was reloaded and is {state}{}", took(report)),
        Outcome::NotRunning if report.left_stopped(verb) => {
            advice.push(format!("to start it: systemctl start {unit} (as root)"));
            format!(
                "{unit} is {state}: try-restart restarts only what runs, so it was left as it is"
            )
        }
        Outcome::NotRunning => {
            advice.push(journal);
            format!(
                "{unit} is not running: {}; it is {state}",
                not_running(report)
            )
        }
        Outcome::Failed => {
            advice.push(journal);
            let done = match verb {
                Verb::Restart | Verb::TryRestart => "did not come back",
                Verb::Reload => "was not reloaded",
            };
            if report.result == "start-limit-hit" {
                advice.push(format!(
                    "when it is mended: systemctl reset-failed {unit} && systemctl start {unit} (as root)"
                ));
            }
            format!("{unit} {done}: {}; it is {state}", failed(report))
        }
        Outcome::Refused => {
            let (why, next) = refused(unit, report.refusal);
            advice.push(next);
            format!("{unit} was not touched: {why}")
        }
        Outcome::Unknown => {
            advice.push(format!("see: systemctl status {unit}"));
            format!(
                "nobody saw what became of {unit}: the job may have ended either way; it is {state}"
            )
        }
    };
    if report.needs_daemon_reload {
        advice.push(format!(
            "{unit}'s file changed on disk and systemd still uses the old one: systemctl daemon-reload (as root)"
        ));
    }
    Explanation { summary, advice }
}

/// Returns the state of the report's unit in words, such as `active (running), main PID 4711`.
#[must_use]
pub fn state(report: &Report) -> String {
    let active = match report.active {
        ActiveState::Active => "active",
        ActiveState::Reloading => "reloading",
        ActiveState::Inactive => "inactive",
        ActiveState::Failed => "failed",
        ActiveState::Activating => "still starting",
        ActiveState::Deactivating => "still stopping",
        ActiveState::Unknown => return "in a state that could not be read".to_owned(),
    };
    match report.main_pid {
        0 => format!("{active} ({})", report.sub),
        pid => format!("{active} ({}), main PID {pid}", report.sub),
    }
}

fn took(report: &Report) -> String {
    let tenths = report.elapsed_ms.div_ceil(100);
    format!(", in {}.{} s", tenths / 10, tenths % 10)
}

fn not_running(report: &Report) -> &'static str {
    match (report.active, report.job, report.sub.as_str()) {
        (ActiveState::Activating, _, "auto-restart") => {
            "its program ended at once, and systemd tries it again"
        }
        (ActiveState::Activating, ..) => "it was started and has not become ready",
        (_, JobResult::Skipped, _) => "systemd had nothing to do",
        (ActiveState::Inactive, ..) if report.result == "success" => {
            "a condition in its file was not met, or its program has ended by itself"
        }
        _ => "systemd's job ended well, but the unit did not stay up",
    }
}

fn failed(report: &Report) -> String {
    match report.job {
        JobResult::Canceled => {
            return "another job of systemd took the place of this one".to_owned();
        }
        JobResult::Dependency => return "a unit that it needs could not be started".to_owned(),
        _ => {}
    }
    match report.result.as_str() {
        "exit-code" => "its program ended with an error".to_owned(),
        "signal" => "its program was ended by a signal".to_owned(),
        "core-dump" => "its program crashed".to_owned(),
        "timeout" => "it took longer than its time-out allows".to_owned(),
        "watchdog" => "it gave no sign of life and was ended".to_owned(),
        "start-limit-hit" => {
            "it was started too often, and systemd will not start it again".to_owned()
        }
        "oom-kill" => "the kernel ended it, as memory was short".to_owned(),
        "protocol" => "it ended before it said that it was ready".to_owned(),
        "resources" => "systemd could not set up what its file asks for".to_owned(),
        "success" | "" if report.job == JobResult::Timeout => {
            "systemd's job took longer than its time-out allows".to_owned()
        }
        "success" | "" if report.job == JobResult::Other => {
            "systemd ended the job in a way that this version has no word for".to_owned()
        }
        "success" | "" => {
            "systemd's job failed before its program ran, such as by an Assert*= in its file"
                .to_owned()
        }
        other => format!("systemd says {other:?}"),
    }
}

fn refused(unit: &str, refusal: Option<Refusal>) -> (&'static str, String) {
    let status = format!("see: systemctl status {unit}");
    match refusal {
        Some(Refusal::NoSuchUnit) => (
            "systemd knows no unit of this name",
            "see: systemctl list-unit-files --type=service; after adding one: systemctl daemon-reload".to_owned(),
        ),
        Some(Refusal::Masked) => (
            "it is masked, so that nothing can start it",
            format!("if that is not meant: systemctl unmask {unit} (as root)"),
        ),
        Some(Refusal::Alias) => (
            "this name is an alias of another unit, and only a unit's own name is accepted",
            format!("its own name: systemctl show -p Id {unit}"),
        ),
        Some(Refusal::BadSetting) => (
            "its file has an error",
            format!("see: systemd-analyze verify {unit}"),
        ),
        Some(Refusal::ManualRefused) => (
            "its file says that it must not be started by hand (RefuseManualStart=)",
            status,
        ),
        Some(Refusal::NotApplicable) => (
            "it cannot do this; to be reloaded a unit needs ExecReload= and must be running",
            status,
        ),
        Some(Refusal::Unreachable) => (
            "systemd could not be reached over the system bus",
            "see: systemctl status dbus.service".to_owned(),
        ),
        Some(Refusal::StopUnderWay) => (
            "a stop is under way, of it or of a unit that it needs (or the start of one that it conflicts with), and nobody else's job is ever cancelled",
            format!("when that has ended (systemctl list-jobs shows it): systemctl status {unit}"),
        ),
        Some(Refusal::ShuttingDown) => (
            "the host is shutting down",
            "see: systemctl is-system-running".to_owned(),
        ),
        Some(Refusal::Other) | None => (
            "systemd refused in words that this version does not know",
            "see: journalctl -u pp-restarter -n 20".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(job: JobResult, active: ActiveState, sub: &str, result: &str) -> Report {
        Report {
            job,
            refusal: None,
            active,
            sub: sub.into(),
            result: result.into(),
            main_pid: if active == ActiveState::Active { 7 } else { 0 },
            invocation_before: [1; 16],
            invocation: [2; 16],
            needs_daemon_reload: false,
            elapsed_ms: 620,
        }
    }

    #[test]
    fn rule_18_each_way_to_end_has_its_own_words() {
        use ActiveState::{Activating, Active, Failed, Inactive, Unknown};
        for (seen, words) in [
            (
                report(JobResult::Done, Active, "running", "success"),
                "was restarted and is active (running), main PID 7, in 0.7 s",
            ),
            (
                report(JobResult::Done, Inactive, "dead", "success"),
                "a condition in its file was not met",
            ),
            (
                report(JobResult::Done, Activating, "auto-restart", "exit-code"),
                "ended at once, and systemd tries it again",
            ),
            (
                report(JobResult::Failed, Failed, "failed", "exit-code"),
                "its program ended with an error",
            ),
            (
                report(JobResult::Failed, Failed, "failed", "start-limit-hit"),
                "started too often",
            ),
            (
                report(JobResult::Failed, Failed, "failed", "timeout"),
                "took longer than its time-out",
            ),
            (
                report(JobResult::Timeout, Failed, "failed", "success"),
                "took longer than its time-out",
            ),
            (
                report(JobResult::Failed, Failed, "failed", "protocol"),
                "before it said that it was ready",
            ),
            (
                report(JobResult::Failed, Failed, "failed", "resources"),
                "could not set up",
            ),
            (
                report(JobResult::Canceled, Inactive, "dead", "success"),
                "another job",
            ),
            (
                report(JobResult::Dependency, Inactive, "dead", "success"),
                "a unit that it needs",
            ),
            (
                report(JobResult::Unknown, Active, "running", "success"),
                "nobody saw",
            ),
            (
                report(JobResult::Unknown, Unknown, "", ""),
                "state that could not be read",
            ),
        ] {
            let told = explain("todo.service", Verb::Restart, &seen);
            assert!(told.summary.contains(words), "{told:?}");
            assert!(told.summary.contains("todo.service"), "{told:?}");
            let fine = seen.outcome(Verb::Restart) == Outcome::Restarted;
            assert_eq!(told.advice.is_empty(), fine, "{told:?}");
        }
    }

    #[test]
    fn a_stopped_unit_that_was_left_so_is_no_failure_in_words() {
        let mut seen = report(JobResult::Done, ActiveState::Inactive, "dead", "success");
        seen.invocation = seen.invocation_before;
        let told = explain("todo.service", Verb::TryRestart, &seen);
        assert!(told.summary.contains("was left as it is"), "{told:?}");
        let told = explain("todo.service", Verb::Restart, &seen);
        assert!(told.summary.contains("is not running"), "{told:?}");
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        let mut said = std::collections::HashSet::new();
        for refusal in [
            Refusal::NoSuchUnit,
            Refusal::Masked,
            Refusal::Alias,
            Refusal::BadSetting,
            Refusal::ManualRefused,
            Refusal::NotApplicable,
            Refusal::Unreachable,
            Refusal::Other,
            Refusal::StopUnderWay,
            Refusal::ShuttingDown,
        ] {
            let seen = Report {
                refusal: Some(refusal),
                ..report(JobResult::None, ActiveState::Inactive, "dead", "success")
            };
            let told = explain("todo.service", Verb::Restart, &seen);
            assert_eq!(told.advice.len(), 1);
            assert!(
                said.insert(told.summary),
                "{refusal:?} has words of its own"
            );
        }
    }
}
