//! The rules of the restarter that need a booted host: its socket, what it reports of
//! each kind of unit, and what becomes of requests while things are restarted under it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

use std::process::ExitCode;

use anyhow::Result;
use pp_tests::cases;
use pp_tests::harness::{self, Needs};
use pp_tests::host::Host;
use serde_json::Value;

fn main() -> ExitCode {
    harness::run(
        Needs::Packages,
        start,
        cases![
            rule_5_the_socket_is_systemds_and_outlives_the_service,
            rule_8_an_alias_of_sshd_is_refused_and_sshd_keeps_running,
            rule_17_two_hundred_requests_in_ten_seconds_leave_the_unit_active,
            rule_18_each_way_a_unit_can_fail_has_its_outcome,
            rule_18_a_reload_of_systemd_during_a_restart_loses_nothing,
            rule_18_a_reexecution_of_systemd_during_a_restart_loses_nothing,
            rule_18_a_restart_of_the_bus_during_a_restart_is_unknown_and_not_repeated,
            a_restart_of_the_bus_between_two_requests_costs_neither,
            rule_19_the_journal_is_found_by_unit_and_uid,
            rule_20_both_processes_have_given_up_what_they_do_not_need,
            rule_20_the_fronts_user_cannot_restart_anything_by_systemctl,
            rule_41_a_killed_front_is_replaced_at_once_and_resets_no_limit,
            a_thousand_requests_across_twenty_restarts_are_answered_and_none_is_done_twice,
        ],
    )
}

/// Units of every sort that somebody might have written: a name and its file, a line each.
const UNITS: &str = r#"fine|[Service]\nType=exec\nExecStart=/bin/sleep infinity\n
many|[Service]\nType=exec\nExecStart=/bin/sleep infinity\n
often|[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=exec\nExecStart=/bin/sleep infinity\n
simple|[Service]\nExecStart=/bin/sleep infinity\n
exits|[Service]\nExecStart=/bin/false\n
again|[Service]\nRestart=always\nRestartSec=30\nExecStart=/bin/false\n
missing|[Service]\nExecStart=/nonexistent\n
missing-exec|[Service]\nType=exec\nExecStart=/nonexistent\n
never-ready|[Service]\nType=notify\nTimeoutStartSec=2\nExecStart=/bin/sleep infinity\n
no-word|[Service]\nType=notify\nExecStart=/bin/true\n
condition|[Unit]\nConditionPathExists=/nonexistent\n[Service]\nExecStart=/bin/sleep infinity\n
assertion|[Unit]\nAssertPathExists=/nonexistent\n[Service]\nExecStart=/bin/sleep infinity\n
needs|[Unit]\nRequires=missing-exec.service\nAfter=missing-exec.service\n[Service]\nExecStart=/bin/sleep infinity\n
limited|[Unit]\nStartLimitIntervalSec=60\nStartLimitBurst=1\n[Service]\nExecStart=/bin/sleep infinity\n
hangs|[Service]\nTimeoutStopSec=2\nExecStart=/bin/sh -c 'trap "" TERM; while :; do sleep 1; done'\n
by-hand|[Unit]\nRefuseManualStart=yes\n[Service]\nExecStart=/bin/sleep infinity\n
broken|[Service]\nType=simple\n
slow|[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=notify\nNotifyAccess=all\nExecStart=/bin/sh -c 'sleep 3; systemd-notify --ready; exec sleep infinity'\n"#;

fn start() -> Result<Host> {
    let host = Host::start()?;
    let mut names = String::new();
    for (name, text) in UNITS.lines().filter_map(|line| line.split_once('|')) {
        let text = text.replace("\\n", "\n");
        let path = format!("/etc/systemd/system/{name}.service");
        host.lab()
            .write(&path, text.as_bytes(), 0o644, "root:root")?;
        names += &format!("\"{name}.service\", ");
    }
    host.lab()
        .sh("ln -s /dev/null /etc/systemd/system/masked.service
         ln -s /lib/systemd/system/ssh.service /etc/systemd/system/other-name.service
         systemctl daemon-reload")?;
    names += "\"masked.service\", \"other-name.service\", \"absent.service\"";
    host.policy(
        "rules",
        &format!("[[allow]]\nunits = [{names}]\ngroups = [\"hosted_apps\"]\n"),
    )?;
    Ok(host)
}

fn rule_5_the_socket_is_systemds_and_outlives_the_service(host: &Host) -> Result<()> {
    let path = "/run/pp-restarter/restarter.sock";
    let stat = || host.lab().cmd(["stat", "-c", "%a %U %G %i", path]).ok();
    let before = stat()?;
    assert!(before.starts_with("660 root hosted_apps "), "{before}");
    assert_eq!(host.ask("simple.service")?.code, Some(0));
    host.lab()
        .cmd(["systemctl", "stop", "pp-restarter.service"])
        .ok()?;
    assert_eq!(stat()?, before, "the very same socket");
    assert_eq!(
        host.ask("simple.service")?.code,
        Some(0),
        "and the next request starts the service"
    );
    Ok(())
}

fn rule_8_an_alias_of_sshd_is_refused_and_sshd_keeps_running(host: &Host) -> Result<()> {
    let before = host.lab().property("ssh.service", "MainPID")?;
    let output = host.ask("other-name.service")?;
    assert_eq!(output.code, Some(1), "{output}");
    let json = output.json()?;
    assert_eq!(
        (&json["outcome"], &json["report"]["refusal"]),
        (&"refused".into(), &"alias".into())
    );
    assert_eq!(host.lab().property("ssh.service", "MainPID")?, before);
    Ok(())
}

fn rule_17_two_hundred_requests_in_ten_seconds_leave_the_unit_active(host: &Host) -> Result<()> {
    host.empty_limits()?;
    let codes = host.lab().as_user("gunicorn").sh(
        "for n in $(seq 200); do (pp-restart many.service >/dev/null 2>&1 && c=0 || c=$?; echo $c) & sleep 0.04; done; wait",
    )?;
    let answered = codes
        .lines()
        .filter(|code| ["0", "4"].contains(code))
        .count();
    assert_eq!(answered, 200, "{codes}");
    assert_eq!(
        host.lab().property("many.service", "ActiveState")?,
        "active"
    );
    let starts = host
        .lab()
        .journal(&["-u", "many.service", "-o", "cat", "--grep", "^Started "])?;
    assert!(starts.lines().count() <= 4, "{starts}");
    Ok(())
}

fn rule_18_each_way_a_unit_can_fail_has_its_outcome(host: &Host) -> Result<()> {
    for (unit, code, outcome, words) in [
        ("fine", 0, "restarted", "was restarted and is active"),
        ("exits", 1, "failed", "ended with an error"),
        ("again", 1, "not-running", "systemd tries it again"),
        ("missing", 1, "failed", "ended with an error"),
        ("missing-exec", 1, "failed", "ended with an error"),
        ("never-ready", 1, "failed", "longer than its time-out"),
        ("no-word", 1, "failed", "before it said that it was ready"),
        (
            "condition",
            1,
            "not-running",
            "a condition in its file was not met",
        ),
        ("assertion", 1, "failed", "Assert"),
        ("needs", 1, "failed", "a unit that it needs"),
        ("masked", 1, "refused", "masked"),
        ("absent", 1, "refused", "no unit of this name"),
        ("by-hand", 1, "refused", "RefuseManualStart"),
        ("broken", 1, "refused", "its file has an error"),
    ] {
        let output = host.ask(&format!("{unit}.service"))?;
        let json = output.json()?;
        assert_eq!(output.code, Some(code), "{unit}: {output}");
        assert_eq!(json["outcome"], outcome, "{unit}: {output}");
        assert!(
            json["message"].as_str().unwrap().contains(words),
            "{unit}: {output}"
        );
    }
    host.ask("limited.service")?;
    let output = host.ask("limited.service")?;
    assert!(
        output.stdout.contains("started too often") && output.stderr.contains("reset-failed"),
        "{output}"
    );
    host.lab()
        .cmd(["systemctl", "start", "hangs.service"])
        .ok()?;
    let output = host.ask("hangs.service")?;
    let json = output.json()?;
    assert_eq!(
        json["outcome"], "restarted",
        "it is killed at its stop time-out: {output}"
    );
    assert!(
        json["report"]["elapsed_ms"].as_u64() >= Some(1900),
        "{output}"
    );
    Ok(())
}

/// Restarts the slow unit, does `what` to the host meanwhile, and counts how often the unit was started.
fn meanwhile(host: &Host, what: &str) -> Result<(Value, usize)> {
    host.empty_limits()?;
    let starts = || -> Result<usize> {
        let all = host
            .lab()
            .journal(&["-u", "slow.service", "-o", "cat", "--grep", "^Starting "]);
        Ok(all.unwrap_or_default().lines().count())
    };
    let before = starts()?;
    let out = host.lab().sh(&format!(
        "(setpriv --reuid gunicorn --regid hosted_apps --clear-groups pp-restart --json slow.service || true) & sleep 1; {what}; wait"
    ))?;
    let json = out
        .lines()
        .find(|line| line.starts_with('{'))
        .unwrap_or_default();
    host.lab().sh("for n in $(seq 50); do [ \"$(systemctl is-active slow.service)\" = active ] && break; sleep 0.1; done")?;
    Ok((serde_json::from_str(json)?, starts()? - before))
}

fn rule_18_a_reload_of_systemd_during_a_restart_loses_nothing(host: &Host) -> Result<()> {
    let (json, starts) = meanwhile(host, "systemctl daemon-reload")?;
    assert_eq!(
        (&json["outcome"], starts),
        (&"restarted".into(), 1),
        "{json}"
    );
    Ok(())
}

fn rule_18_a_reexecution_of_systemd_during_a_restart_loses_nothing(host: &Host) -> Result<()> {
    let (json, starts) = meanwhile(host, "systemctl daemon-reexec")?;
    assert_eq!(
        (&json["outcome"], starts),
        (&"restarted".into(), 1),
        "{json}"
    );
    Ok(())
}

fn a_restart_of_the_bus_between_two_requests_costs_neither(host: &Host) -> Result<()> {
    host.empty_limits()?;
    let restarter = || {
        let show = ["systemctl", "show", "-P", "MainPID", "pp-restarter.service"];
        host.lab().cmd(show).ok()
    };
    host.ask("often.service")?;
    let before = restarter()?;
    for _ in 0..2 {
        let bus = ["systemctl", "restart", "dbus.service"];
        host.lab().cmd(bus).ok()?;
        let json: Value = serde_json::from_str(&host.ask("often.service")?.stdout)?;
        assert_eq!(json["outcome"], "restarted", "{json}");
    }
    assert_eq!(restarter()?, before, "it is the same process");
    Ok(())
}

fn rule_18_a_restart_of_the_bus_during_a_restart_is_unknown_and_not_repeated(
    host: &Host,
) -> Result<()> {
    let (json, starts) = meanwhile(host, "systemctl restart dbus.service")?;
    assert_eq!((&json["outcome"], starts), (&"unknown".into(), 1), "{json}");
    assert_eq!(
        json["report"]["active"], "active",
        "its state now is told: {json}"
    );
    Ok(())
}

fn rule_19_the_journal_is_found_by_unit_and_uid(host: &Host) -> Result<()> {
    host.empty_limits()?;
    host.ask("fine.service")?;
    let uid = host.lab().cmd(["id", "-u", "gunicorn"]).ok()?;
    let found = host.lab().journal(&[
        "PP_UNIT=fine.service",
        &format!("PP_UID={uid}"),
        "-o",
        "json",
    ])?;
    let records: Vec<Value> = found
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let last: Vec<_> = records
        .iter()
        .rev()
        .take(2)
        .map(|record| record["PP_EVENT"].clone())
        .collect();
    assert_eq!(last, ["outcome", "decision"], "{found}");
    let outcome = records.last().unwrap();
    assert_eq!(
        (&outcome["PP_JOB"], &outcome["PP_ACTIVE"]),
        (&"done".into(), &"active".into())
    );
    assert_eq!(outcome["_SYSTEMD_UNIT"], "pp-restarter.service");
    let job = host.lab().journal(&[
        "PP_EVENT=job",
        "PP_UNIT=fine.service",
        "_UID=0",
        "-o",
        "cat",
        "-n",
        "1",
    ])?;
    assert!(job.contains("restart fine.service: job done"), "{job}");
    Ok(())
}

fn rule_20_both_processes_have_given_up_what_they_do_not_need(host: &Host) -> Result<()> {
    host.ask("simple.service")?;
    for (name, uid) in [
        ("pp-restarter", "0".to_owned()),
        (
            "pp-front",
            host.lab().cmd(["id", "-u", "pp-restarter"]).ok()?,
        ),
    ] {
        let status = host
            .lab()
            .sh(&format!("cat /proc/$(pgrep -x {name})/status"))?;
        let line = |key: &str| -> String {
            let line = status
                .lines()
                .find(|line| line.starts_with(key))
                .unwrap_or_default();
            line.split_whitespace()
                .skip(1)
                .collect::<Vec<_>>()
                .join(" ")
        };
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(line(set), "0000000000000000", "{name} {set}");
        }
        assert_eq!(line("Uid:"), [uid.as_str(); 4].join(" "), "{name}");
        assert_eq!(
            (line("NoNewPrivs:"), line("Seccomp:"), line("Threads:")),
            ("1".into(), "2".into(), "1".into())
        );
        assert_eq!(line("Groups:"), "", "{name}: no supplementary group");
    }
    let fds = host.lab().sh("ls -l /proc/$(pgrep -x pp-front)/fd | sed 's/.*-> //' | grep -vE '^(total|socket:|anon_inode:|/dev/null|$)' || true")?;
    assert_eq!(
        fds, "",
        "the front has nothing open but sockets and its event loop"
    );
    Ok(())
}

fn rule_20_the_fronts_user_cannot_restart_anything_by_systemctl(host: &Host) -> Result<()> {
    let before = host.lab().property("simple.service", "InvocationID")?;
    let front = host.lab().as_user("pp-restarter");
    let output = front
        .cmd([
            "systemctl",
            "--no-ask-password",
            "restart",
            "simple.service",
        ])
        .output()?;
    assert_ne!(output.code, Some(0), "{output}");
    assert_eq!(
        host.lab().property("simple.service", "InvocationID")?,
        before
    );
    Ok(())
}

fn rule_41_a_killed_front_is_replaced_at_once_and_resets_no_limit(host: &Host) -> Result<()> {
    let lab = host.lab();
    host.empty_limits()?;
    // What earlier cases have started counts for systemd's own limit.
    lab.sh("systemctl reset-failed simple.service fine.service")?;
    for _ in 0..3 {
        assert_eq!(host.ask("simple.service")?.code, Some(0));
    }
    // With a restart under way, as often as there are others; then with nothing under way, by a new start.
    let slow = "(setpriv --reuid gunicorn --regid hosted_apps --clear-groups pp-restart slow.service >/dev/null 2>&1 || true) &";
    for during in [slow, "", "sleep 3;"] {
        lab.sh(&format!(
            "{during} sleep 0.5; kill -KILL $(pgrep -x pp-front); sleep 0.1"
        ))?;
        let limited = host.ask("simple.service")?;
        assert_eq!(limited.code, Some(4), "its limit holds: {limited}");
        assert!(limited.took.as_millis() < 500, "{limited}");
        let other = host.ask("fine.service")?;
        assert_eq!(other.code, Some(0), "another unit is served: {other}");
        assert!(other.took.as_secs() < 2, "{other}");
    }
    let job = lab.journal(&[
        "PP_EVENT=job",
        "PP_UNIT=slow.service",
        "-o",
        "cat",
        "-n",
        "1",
    ])?;
    assert!(
        job.contains("restart slow.service: job done"),
        "it has its record: {job}"
    );
    Ok(())
}

fn a_thousand_requests_across_twenty_restarts_are_answered_and_none_is_done_twice(
    host: &Host,
) -> Result<()> {
    host.empty_limits()?;
    let since = host.lab().sh("date '+%Y-%m-%d %H:%M:%S'; sleep 1")?;
    let script = "
        for worker in 1 2 3 4; do
            (for n in $(seq 250); do
                setpriv --reuid gunicorn --regid hosted_apps --clear-groups pp-restart often.service >/dev/null 2>&1 && c=0 || c=$?
                echo $c
            done) &
        done
        for n in $(seq 20); do sleep 0.5; systemctl restart pp-restarter.service; done
        wait";
    let codes = host
        .lab()
        .cmd(["sh", "-c", script])
        .within(std::time::Duration::from_secs(240))
        .ok()?;
    let count = |code: &str| codes.lines().filter(|line| *line == code).count();
    assert_eq!(count("0") + count("4"), 1000, "every request has an answer");
    let records = |filter: &[&str]| -> Result<usize> {
        let mut all = vec!["--since", since.as_str(), "-o", "cat"];
        all.extend(filter);
        Ok(host.lab().journal(&all)?.lines().count())
    };
    let jobs = records(&["PP_EVENT=job", "PP_UNIT=often.service"])?;
    let starts = records(&["-u", "often.service", "--grep", "^Started "])?;
    assert_eq!(
        starts, jobs,
        "each job is one start, and there is no other start"
    );
    assert!(jobs <= count("0"), "{jobs} jobs for {} answers", count("0"));
    Ok(())
}
