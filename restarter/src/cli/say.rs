//! What the client prints: results to standard output, everything else to standard error.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use nix::unistd::{Gid, Group, User, geteuid};
use pp_protocol::client::{MOST_GROUPS, groups_beyond_reading};
use pp_protocol::{ClientError, Grant, Outcome, Report, UnitName, UnitNameError, Verb, explain};
use serde_json::{Value, json};

// Errors are ignored: a reader that closes the pipe early, such as `head`, is no reason to fail.
macro_rules! out {
    ($($words:tt)*) => {{ let _ = writeln!(std::io::stdout(), $($words)*); }};
}
// Standard error has no buffer, so each line is made before it is written: in one piece, whoever else writes there.
macro_rules! err {
    ($($words:tt)*) => {{
        let line = format!($($words)*) + "\n";
        let _ = std::io::stderr().write_all(line.as_bytes());
    }};
}

/// Returns the name of the group that owns the socket, whose members may connect.
fn group_of(socket: &Path) -> Option<String> {
    let gid = Gid::from_raw(std::fs::metadata(socket).ok()?.gid());
    Some(Group::from_gid(gid).ok()??.name)
}

/// Returns the name of the user that runs this client, or the uid if the user has no name.
fn user() -> String {
    let uid = geteuid();
    let known = User::from_uid(uid).ok().flatten();
    known.map_or_else(|| uid.to_string(), |user| user.name)
}

/// The form of the client's output: text for a person, or JSON for a program.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutputFormat {
    pub(super) json: bool,
}

impl OutputFormat {
    pub(super) fn grants(self, grants: &[Grant]) {
        for grant in grants {
            if self.json {
                object(&json!({
                    "unit": grant.unit, "verb": grant.verb,
                    "burst": grant.burst, "every_ms": grant.every_ms,
                }));
            } else {
                let every = Duration::from_millis(grant.every_ms);
                out!(
                    "{:<11} {}   {} at once, one more every {} s",
                    grant.verb.as_str(),
                    grant.unit,
                    grant.burst,
                    every.as_secs(),
                );
            }
        }
        if grants.is_empty() {
            err!("pp-restart: you may not restart anything. {ASK}");
            many_groups();
        }
    }

    pub(super) fn report(self, verb: Verb, unit: &UnitName, report: &Report) {
        let told = explain(unit.as_str(), verb, report);
        let outcome = report.outcome(verb);
        if self.json {
            object(&json!({
                "unit": unit, "verb": verb, "outcome": outcome, "message": told.summary,
                "report": {
                    "job": report.job, "refusal": report.refusal, "active": report.active,
                    "sub": report.sub, "result": report.result, "main_pid": report.main_pid,
                    "invocation_before": hex(report.invocation_before),
                    "invocation": hex(report.invocation),
                    "needs_daemon_reload": report.needs_daemon_reload,
                    "elapsed_ms": report.elapsed_ms,
                },
            }));
        } else if matches!(outcome, Outcome::Restarted | Outcome::Reloaded)
            || report.left_stopped(verb)
        {
            out!("{}", told.summary);
        } else {
            err!("pp-restart: {}", told.summary);
        }
        for line in told.advice {
            err!("  {line}");
        }
    }

    pub(super) fn denied(self, verb: Verb, unit: &UnitName) {
        self.refusal(unit, "denied", json!(null));
        err!("pp-restart: you may not {} {unit}. {ASK}", verb.as_str());
        many_groups();
        err!("  what you may do: pp-restart --list");
    }

    pub(super) fn busy(self, verb: Verb, unit: &UnitName, wait: Duration) {
        self.refusal(unit, "busy", json!(crate::pair::millis(wait)));
        let seconds = crate::pair::millis(wait).div_ceil(1000);
        err!(
            "pp-restart: too many requests to {} {unit}: nothing was done; try again in {seconds} s",
            verb.as_str()
        );
    }

    pub(super) fn bad_name(self, name: &str, error: UnitNameError) {
        err!("pp-restart: {name:?} is not the name of a service: {error}");
    }

    pub(super) fn error(self, unit: Option<&UnitName>, error: &ClientError) {
        let told = match unit {
            Some(unit) if error.outcome_unknown() => {
                format!("{error}; what became of {unit} is unknown")
            }
            _ => error.to_string(),
        };
        if self.json {
            object(&json!({ "unit": unit, "outcome": "error", "message": told }));
        }
        err!("pp-restart: {told}");
        match error {
            ClientError::Unreachable { source, path }
                if source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                let group = group_of(path).unwrap_or_else(|| "hosted_apps".to_owned());
                let user = user();
                err!(
                    "  only members of the group {group} may ask, and this login of {user} is none\n  as root: adduser \
                     {user} {group}; it counts from the next login on (`id` shows the groups of this one)"
                );
            }
            ClientError::Unreachable { .. } => {
                err!("  is it installed and listening? systemctl status pp-restarter.socket");
            }
            ClientError::Untrusted { .. } => {
                err!("  somebody may be impersonating the restarter: tell your administrator");
            }
            _ => {
                if let Some(unit) = unit {
                    err!("  see: systemctl status {unit}");
                }
                err!("  see: journalctl -u pp-restarter -n 20");
            }
        }
    }

    fn refusal(self, unit: &UnitName, outcome: &str, retry_after_ms: Value) {
        if self.json {
            object(&json!({ "unit": unit, "outcome": outcome, "retry_after_ms": retry_after_ms }));
        }
    }
}

/// Prints an explanation if this login has more supplementary groups than the restarter reads. The restarter
/// denies such a login, and its denial gives no reason.
fn many_groups() {
    if let Some(count) = groups_beyond_reading() {
        err!(
            "  this login is in {count} supplementary groups, and the restarter refuses whoever is in more than \
             {MOST_GROUPS}: leave some (`id` lists them), then log in anew"
        );
    }
}

const ASK: &str = "The administrator of this host says who may, in /etc/pp-restarter/policy.d.";

fn object(value: &Value) {
    out!("{value}");
}

fn hex(id: [u8; 16]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
