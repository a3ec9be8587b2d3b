//! What an audit of the restarter has tried, and what came of it: each attempt as it was made, by the account
//! that makes it, on a booted host.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use pp_tests::cases;
use pp_tests::harness::{self, Needs};
use pp_tests::host::Host;
use pp_tests::lab::{Lab, Output};
use pp_tests::wait::wait_until;

fn main() -> ExitCode {
    harness::run(
        Needs::Packages,
        start,
        cases![
            rule_37_a_user_namespace_of_real_newuidmap_is_no_caller,
            rule_38_a_restart_among_twenty_thousand_denials_has_all_its_records,
            rule_39_a_setgid_copy_of_the_client_gives_nothing,
            rule_40_a_stop_under_way_is_not_cancelled,
            rule_40_what_is_stopped_on_purpose_is_left_so_by_try_restart,
            rule_40_each_verb_includes_what_check_says,
            a_restart_during_a_long_exec_start_pre_joins_the_start,
            rule_8_a_name_that_becomes_an_alias_after_the_policy_was_read_is_refused,
            a_stopped_front_or_monitor_holds_requests_and_loses_none,
            rule_41_whoever_is_killed_for_memory_is_replaced_and_no_limit_is_reset,
            descriptors_that_are_passed_in_are_not_kept,
            a_unit_that_stops_when_unneeded_is_told_as_it_is,
            an_isolated_target_leaves_the_socket,
            rule_40_a_shutdown_refuses_at_once_and_is_not_held_up,
        ],
    )
}

const UNITS: &[(&str, &str)] = &[
    (
        "fine",
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=exec\nExecStart=/bin/sleep infinity\n",
    ),
    (
        "other",
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=exec\nExecStart=/bin/sleep infinity\n",
    ),
    (
        "lingers",
        "[Service]\nExecStart=/bin/sleep infinity\nExecStop=/bin/sleep 3\n",
    ),
    (
        "needed",
        "[Service]\nExecStart=/bin/sleep infinity\nExecStop=/bin/sleep 3\n",
    ),
    ("rival", "[Service]\nExecStart=/bin/sleep infinity\n"),
    (
        "needy",
        "[Unit]\nRequires=needed.service\nConflicts=rival.service\n[Service]\nExecStart=/bin/sleep infinity\n\
         ExecReload=/bin/true\n",
    ),
    (
        "pre",
        "[Service]\nExecStartPre=/bin/sleep 2\nExecStart=/bin/sleep infinity\n",
    ),
    (
        "endless",
        "[Service]\nTimeoutStartSec=infinity\nExecStartPre=/bin/sleep 300\nExecStart=/bin/sleep infinity\n",
    ),
    ("turned", "[Service]\nExecStart=/bin/sleep infinity\n"),
    (
        "unneeded",
        "[Unit]\nStopWhenUnneeded=yes\n[Service]\nExecStart=/bin/sleep infinity\n",
    ),
];

fn start() -> Result<Host> {
    let host = Host::start()?;
    let lab = host.lab();
    let mut names = Vec::new();
    for (name, text) in UNITS {
        let path = format!("/etc/systemd/system/{name}.service");
        lab.write(&path, text.as_bytes(), 0o644, "root:root")?;
        names.push(format!("{name}.service"));
    }
    lab.write(
        "/opt/caller.py",
        include_bytes!("../fixtures/caller.py"),
        0o755,
        "root:root",
    )?;
    lab.sh("systemctl daemon-reload
         useradd -m alice; adduser --quiet alice hosted_apps; useradd -m mallory
         echo alice:100000:65536 >/etc/subuid; echo alice:100000:65536 >/etc/subgid
         systemctl start fine other lingers")?;
    host.policy(
        "attacks",
        &format!(
            "[[allow]]\nunits = {names:?}\nverbs = [\"restart\", \"try-restart\", \"reload\"]\n\
             groups = [\"hosted_apps\"]\nlimit = {{ burst = 4, every = \"30s\" }}\n"
        ),
    )?;
    Ok(host)
}

fn ask(lab: &Lab, arguments: &[&str]) -> Result<Output> {
    let alice = lab.as_user("alice");
    alice
        .cmd(["pp-restart"])
        .args(arguments.iter().copied())
        .output()
}

/// The bytes of a denial, as `caller.py` prints them.
const DENIED: &str = "000000020100";

fn rule_37_a_user_namespace_of_real_newuidmap_is_no_caller(host: &Host) -> Result<()> {
    let lab = host.lab();
    host.empty_limits()?;
    let before = lab.property("fine.service", "InvocationID")?;
    // alice becomes uids 1 to 20 of her namespace, which are 100000 and up, and keeps her groups.
    let script = "for uid in $(seq 1 20); do
            unshare --user --map-users=auto --setuid $uid -- python3 /opt/caller.py --times 10 fine.service; done";
    let replies = lab.as_user("alice").sh(script)?;
    let denied = format!("10 {DENIED}");
    assert_eq!(
        replies.lines().collect::<Vec<_>>(),
        [denied.as_str(); 20],
        "one constant reply"
    );
    assert_eq!(lab.property("fine.service", "InvocationID")?, before);
    let told = lab.journal(&["PP_EVENT=decision", "-o", "cat", "-n", "1"])?;
    assert!(told.contains("subordinate range"), "{told}");
    // As herself, also from within a namespace, she is who she is.
    let replies = lab
        .as_user("alice")
        .sh("unshare --user --map-root-user -- python3 /opt/caller.py fine.service")?;
    assert!(replies.ends_with("0102"), "carried out: {replies}");
    Ok(())
}

fn rule_38_a_restart_among_twenty_thousand_denials_has_all_its_records(host: &Host) -> Result<()> {
    let lab = host.lab();
    host.empty_limits()?;
    let since = lab.sh("sleep 1; date '+%Y-%m-%d %H:%M:%S'")?;
    // Of a member of the group, by name; of uids that only root could have, one after the other.
    let out = lab
        .cmd(["sh", "-euc"])
        .args([
            "for n in 1 2; do setpriv --reuid alice --regid alice --init-groups python3 /opt/caller.py --times 5000 no$n.service & done
             setpriv --regid hosted_apps --clear-groups python3 /opt/caller.py --times 10000 --uids 5000 3000 fine.service &
             sleep 1; setpriv --reuid alice --regid alice --init-groups pp-restart --json fine.service; wait",
        ])
        .within(Duration::from_secs(240))
        .ok()?;
    assert!(out.contains("\"outcome\":\"restarted\""), "{out}");
    host.empty_limits()?;
    let count = |filter: &[&str]| -> Result<usize> {
        let mut all = vec![
            "--since",
            since.as_str(),
            "_SYSTEMD_UNIT=pp-restarter.service",
            "-o",
            "cat",
        ];
        all.extend(filter);
        Ok(lab.journal(&all)?.lines().count())
    };
    for filter in [
        &[
            "PP_EVENT=decision",
            "PP_VERDICT=allowed",
            "PP_UNIT=fine.service",
        ][..],
        &["PP_EVENT=begun", "PP_UNIT=fine.service"],
        &["PP_EVENT=job", "PP_UNIT=fine.service"],
        &["PP_EVENT=outcome", "PP_UNIT=fine.service"],
    ] {
        assert_eq!(count(filter)?, 1, "{filter:?}");
    }
    let all = count(&[])?;
    assert!(all < 700, "{all} records, whoever asks how often");
    assert!(
        count(&["PP_EVENT=repeated"])? > 0,
        "what was left out is told"
    );
    let dropped = lab.sh("journalctl --quiet --boot --grep 'Suppressed .* messages' || true")?;
    assert!(!dropped.contains("pp-restarter"), "{dropped}");
    Ok(())
}

fn rule_39_a_setgid_copy_of_the_client_gives_nothing(host: &Host) -> Result<()> {
    let lab = host.lab();
    host.empty_limits()?;
    lab.as_user("alice").sh("cp /usr/bin/pp-restart /home/alice/kept; sg hosted_apps 'chgrp hosted_apps /home/alice/kept'
         chmod 2755 /home/alice/kept; chmod 755 /home/alice")?;
    lab.cmd(["deluser", "--quiet", "alice", "hosted_apps"])
        .ok()?;
    let before = lab.property("fine.service", "InvocationID")?;
    for who in ["alice", "mallory"] {
        let asked = lab
            .as_user(who)
            .cmd(["/home/alice/kept", "fine.service"])
            .output()?;
        assert_eq!(
            asked.code,
            Some(3),
            "the socket lets the group in, the restarter does not: {asked}"
        );
    }
    assert_eq!(lab.property("fine.service", "InvocationID")?, before);
    lab.cmd(["adduser", "--quiet", "alice", "hosted_apps"])
        .ok()?;
    // The primary group of the user database counts where it is in no list: a container's user has it so.
    let primary =
        "setpriv --reuid gunicorn --regid hosted_apps --clear-groups pp-restart fine.service";
    lab.sh(primary)?;
    Ok(())
}

fn rule_40_a_stop_under_way_is_not_cancelled(host: &Host) -> Result<()> {
    let lab = host.lab();
    host.empty_limits()?;
    for verb in ["", "--try-restart"] {
        lab.sh("systemctl start lingers; systemctl stop --no-block lingers; sleep 0.2")?;
        let arguments: Vec<_> = [verb, "lingers.service"]
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect();
        let asked = ask(lab, &arguments)?;
        assert_eq!(asked.code, Some(1), "{asked}");
        assert!(asked.stderr.contains("a stop is under way"), "{asked}");
        wait_until("the stop has ended", Duration::from_secs(10), || {
            Ok((lab.property("lingers.service", "ActiveState")? == "inactive").then_some(()))
        })?;
    }
    let told = lab.journal(&[
        "PP_EVENT=job",
        "PP_UNIT=lingers.service",
        "-o",
        "cat",
        "-n",
        "1",
    ])?;
    assert!(told.contains("refused (stopunderway)"), "{told}");
    // Of what it needs, too: its restart would have to start that again.
    lab.sh("systemctl start needy; systemctl stop --no-block needed; sleep 0.3")?;
    let asked = ask(lab, &["needy.service"])?;
    assert_eq!(asked.code, Some(1), "{asked}");
    assert!(asked.stderr.contains("a stop is under way"), "{asked}");
    wait_until("what it needs has stopped", Duration::from_secs(10), || {
        Ok((lab.property("needed.service", "ActiveState")? == "inactive").then_some(()))
    })
}

fn rule_40_what_is_stopped_on_purpose_is_left_so_by_try_restart(host: &Host) -> Result<()> {
    let lab = host.lab();
    host.empty_limits()?;
    lab.sh("systemctl stop other")?;
    let asked = ask(lab, &["--try-restart", "other.service"])?;
    assert_eq!(asked.code, Some(0), "{asked}");
    asked.says(&["was left as it is"]);
    assert_eq!(lab.property("other.service", "ActiveState")?, "inactive");
    lab.sh("systemctl start other")?;
    let before = lab.property("other.service", "InvocationID")?;
    let asked = ask(lab, &["--try-restart", "other.service"])?;
    assert_eq!(asked.code, Some(0), "{asked}");
    assert_ne!(lab.property("other.service", "InvocationID")?, before);
    Ok(())
}

fn rule_40_each_verb_includes_what_check_says(host: &Host) -> Result<()> {
    let lab = host.lab();
    host.empty_limits()?;
    let states = || lab.sh("systemctl is-active needy needed rival || true");
    lab.sh("systemctl stop needy needed; systemctl start rival")?;
    for verb in ["--reload", "--try-restart"] {
        ask(lab, &[verb, "needy.service"])?;
        assert_eq!(
            states()?,
            "inactive\ninactive\nactive",
            "{verb} of a stopped unit touches nothing"
        );
    }
    let asked = ask(lab, &["needy.service"])?;
    assert_eq!(asked.code, Some(0), "{asked}");
    assert_eq!(
        states()?,
        "active\nactive\ninactive",
        "a restart starts, requires and stops"
    );
    let check = lab.cmd(["pp-restarter", "--check"]).ok()?;
    for words in [
        "restart: also starts the unit where it is stopped, with what it requires, and stops what it conflicts with",
        "try-restart: only where the unit runs",
        "reload: only where the unit runs",
    ] {
        assert!(check.contains(words), "{check}");
    }
    Ok(())
}

fn a_restart_during_a_long_exec_start_pre_joins_the_start(host: &Host) -> Result<()> {
    let lab = host.lab();
    host.empty_limits()?;
    lab.sh("systemctl start --no-block pre; sleep 0.5")?;
    let asked = ask(lab, &["pre.service"])?;
    assert_eq!(asked.code, Some(0), "{asked}");
    assert_eq!(lab.property("pre.service", "ActiveState")?, "active");
    Ok(())
}

fn rule_8_a_name_that_becomes_an_alias_after_the_policy_was_read_is_refused(
    host: &Host,
) -> Result<()> {
    let lab = host.lab();
    assert_eq!(ask(lab, &["turned.service"])?.code, Some(0));
    let sshd = lab.property("ssh.service", "MainPID")?;
    lab.sh("systemctl stop turned; rm /etc/systemd/system/turned.service
         ln -s /lib/systemd/system/ssh.service /etc/systemd/system/turned.service; systemctl daemon-reload")?;
    let asked = ask(lab, &["turned.service"])?;
    assert_eq!(asked.code, Some(1), "{asked}");
    assert!(asked.stderr.contains("alias of another unit"), "{asked}");
    assert_eq!(lab.property("ssh.service", "MainPID")?, sshd);
    Ok(())
}

fn a_stopped_front_or_monitor_holds_requests_and_loses_none(host: &Host) -> Result<()> {
    let lab = host.lab();
    for process in ["pp-front", "pp-restarter"] {
        host.empty_limits()?;
        ask(lab, &["--list"])?;
        lab.sh(&format!("kill -STOP $(pgrep -x {process})"))?;
        let asked = ask(lab, &["--timeout", "1", "fine.service"])?;
        assert_eq!(asked.code, Some(1), "{process}: {asked}");
        assert!(
            asked
                .stderr
                .contains("no answer from the restarter within 1 s"),
            "{asked}"
        );
        let out = lab.sh(&format!(
            "(sleep 1; kill -CONT $(pgrep -x {process})) & runuser -u alice -- pp-restart fine.service; wait"
        ))?;
        assert!(out.contains("was restarted"), "{process}: {out}");
    }
    Ok(())
}

fn rule_41_whoever_is_killed_for_memory_is_replaced_and_no_limit_is_reset(
    host: &Host,
) -> Result<()> {
    let lab = host.lab();
    host.empty_limits()?;
    for _ in 0..4 {
        assert_eq!(ask(lab, &["fine.service"])?.code, Some(0));
    }
    for victim in ["pp-front", "pp-restarter"] {
        let monitor = lab.cmd(["pgrep", "-x", "pp-restarter"]).ok()?;
        // The kernel's own killer, which takes what is told to be worth least. Less and less memory, until it
        // has taken one.
        lab.sh(&format!(
            "v=$(pgrep -x {victim}); echo 1000 >/proc/$v/oom_score_adj
             group=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/$v/cgroup)
             # As that killer does it, where the host's memory is counted elsewhere.
             [ -e $group/memory.events ] || {{ kill -KILL $v; exit 0; }}
             kills() {{ sed -n 's/^oom_kill //p' $group/memory.events; }}
             before=$(kills)
             for n in $(seq 200); do
                 now=$(cat $group/memory.current) || break
                 (echo $((now - 65536)) >$group/memory.max) 2>/dev/null || true
                 [ \"$(kills 2>/dev/null)\" = $before ] || break
             done
             (echo 64M >$group/memory.max) 2>/dev/null || true"
        ))?;
        let limited = wait_until("the restarter answers", Duration::from_secs(20), || {
            let asked = ask(lab, &["--timeout", "10", "fine.service"])?;
            Ok((asked.code != Some(1)).then_some(asked))
        })?;
        assert_eq!(limited.code, Some(4), "{victim}: {limited}");
        let now = lab.cmd(["pgrep", "-x", "pp-restarter"]).ok()?;
        assert_eq!(
            now == monitor,
            victim == "pp-front",
            "{victim}: who was ended"
        );
        let other = ask(lab, &["other.service"])?;
        assert_eq!(other.code, Some(0), "{victim}: {other}");
    }
    // systemd's own answer to it would be to stop the service, which is how root empties the limits.
    assert_eq!(
        lab.property("pp-restarter.service", "OOMPolicy")?,
        "continue"
    );
    Ok(())
}

fn descriptors_that_are_passed_in_are_not_kept(host: &Host) -> Result<()> {
    let lab = host.lab();
    host.empty_limits()?;
    let count = || lab.sh("ls /proc/$(pgrep -x pp-front)/fd | wc -l");
    ask(lab, &["--list"])?;
    let before = count()?;
    let replies = lab
        .as_user("alice")
        .sh("python3 /opt/caller.py --times 20 --descriptors no.service")?;
    assert_eq!(replies, format!("20 {DENIED}"));
    assert_eq!(count()?, before);
    Ok(())
}

fn a_unit_that_stops_when_unneeded_is_told_as_it_is(host: &Host) -> Result<()> {
    let lab = host.lab();
    let asked = ask(lab, &["unneeded.service"])?;
    wait_until("systemd has stopped it", Duration::from_secs(5), || {
        Ok((lab.property("unneeded.service", "ActiveState")? == "inactive").then_some(()))
    })?;
    assert_eq!(
        asked.code,
        Some(1),
        "it does not run, so it was not restarted: {asked}"
    );
    assert!(!asked.stdout.contains("was restarted"), "{asked}");
    Ok(())
}

fn an_isolated_target_leaves_the_socket(host: &Host) -> Result<()> {
    let lab = host.lab();
    host.empty_limits()?;
    lab.sh("systemctl isolate --no-block multi-user.target; sleep 2")?;
    assert_eq!(
        lab.property("pp-restarter.socket", "ActiveState")?,
        "active"
    );
    assert_eq!(ask(lab, &["fine.service"])?.code, Some(0));
    Ok(())
}

/// Ends the host, so it is the last.
fn rule_40_a_shutdown_refuses_at_once_and_is_not_held_up(host: &Host) -> Result<()> {
    let lab = host.lab();
    host.empty_limits()?;
    // In flight: a restart that would never end by itself.
    lab.sh("systemd-run --quiet --uid=alice -p DefaultDependencies=no pp-restart endless.service; sleep 1
         systemctl start lingers; mkdir -p /run/systemd/system/lingers.service.d
         printf '[Unit]\\nBefore=pp-restarter.socket pp-restarter.service dbus.service\\n' >/run/systemd/system/lingers.service.d/x.conf
         systemctl daemon-reload; pgrep -x pp-front >/dev/null")?;
    let begun = Instant::now();
    lab.sh("systemctl poweroff --no-block")?;
    let mut said = String::new();
    for _ in 0..4 {
        // A way into a host that is going down may lead nowhere, and is given up then.
        let call = lab
            .as_user("alice")
            .cmd(["pp-restart", "--timeout", "20", "fine.service"]);
        let asked = call.within(Duration::from_secs(4)).output();
        let Ok(asked) = asked else { continue };
        ensure!(asked.code != Some(0), "{asked}");
        said += &asked.stderr;
    }
    let reasons = [
        "shutting down",
        "a stop is under way",
        "cannot reach the restarter",
        "could not be reached",
        "too many requests",
        // The socket is systemd's, and goes with what waits in it.
        "closed the connection",
    ];
    ensure!(reasons.iter().any(|words| said.contains(words)), "{said}");
    wait_until("the host is down", Duration::from_secs(60), || {
        let inside = lab.cmd(["true"]).within(Duration::from_secs(2)).output();
        Ok(inside.map_or(true, |out| out.code != Some(0)).then_some(()))
    })?;
    // `lingers` takes three seconds to stop; the rest of a poweroff is short.
    let took = begun.elapsed();
    ensure!(took < Duration::from_secs(30), "a poweroff took {took:?}");
    Ok(())
}
