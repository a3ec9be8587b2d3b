//! Faults that only a real host shows. Rows of `fetcher/FAULTS.md`, as the suites there.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use pp_tests::app::Perl;
use pp_tests::cases;
use pp_tests::forge::Tree;
use pp_tests::harness::{self, Needs};
use pp_tests::host::Host;
use pp_tests::wait::wait_until;

#[path = "faults/support.rs"]
mod support;

use support::{
    PATIENCE, POLL, RESTARTER, SOCKET, app, at_rest, converges, deployed, drop_in, invocation,
    poll, polling, serving, sick, slow, starts, stopping, taken_back, waiting, while_it_waits,
};

const FETCHER: &str = "pp-fetcher.service";

fn main() -> ExitCode {
    harness::run(
        Needs::Packages,
        Host::start,
        cases![
            fault_app_ends_or_is_started_again_20_s_after_it_was_well,
            fault_restarter_gone_after_the_switch,
            fault_restarter_denies_after_the_switch,
            fault_restarter_gone_when_a_sick_release_is_to_be_taken_back,
            fault_restarter_waits_20_s_for_units_that_ignore_sigterm,
            fault_restarter_restarted_while_it_restarts_a_unit,
            fault_restarter_killed_while_it_restarts_a_unit,
            fault_restarter_killed_before_it_took_a_request,
            fault_fifty_polls_at_once_beside_the_service,
        ],
    )
}

fn fault_app_ends_or_is_started_again_20_s_after_it_was_well(host: &Host) -> Result<()> {
    let ends = [
        // Its name, what its unit says, how it ends, and what is said of it.
        ("dies", "", "alarm 20;", "dies.service failed (signal)"),
        (
            "leaves",
            "",
            "$SIG{ALRM} = sub { exit 0 }; alarm 20;",
            "leaves.service is inactive (dead), after it had been well",
        ),
        (
            "flaps",
            "Restart=always",
            "alarm 20;",
            "flaps.service ended and systemd ",
        ),
        (
            "rests",
            "Restart=always\nRestartSec=1h",
            "alarm 20;",
            "rests.service ended and systemd waits to start it again (signal)",
        ),
    ];
    let mut apps = Vec::new();
    for (name, unit, end, why) in ends {
        let app = app(host, name)?;
        drop_in(host, &app, unit)?;
        app.set("steady = \"1s\"", "steady = \"25s\"")?;
        let good = app.current_revision()?;
        let bad = app.push(serving("v2", end), "Ends after 20 s")?;
        apps.push((app, good, bad, why));
    }
    let names: Vec<_> = apps.iter().map(|(app, ..)| app.name()).collect();
    let output = poll(host, &names)?;
    assert_eq!(output.code, Some(1), "{output}");
    for (app, good, bad, why) in &apps {
        taken_back(app, good, bad, &["probe: ", why])?;
        let probe = app.last()?.phase("probe").unwrap();
        assert!(probe > 15_000, "it was well for long: {probe} ms");
        let held = app.status()?.quarantined;
        assert_eq!(held.iter().map(|q| &q.revision).collect::<Vec<_>>(), [bad]);
        at_rest(host, app)?;
        app.poll_exits(0)?;
        assert_eq!(app.history()?.len(), 2, "it is not tried again");
        let mended = app.push(Perl("v3"), "Mended")?;
        app.set("steady = \"25s\"", "steady = \"1s\"")?;
        converges(host, app, &mended, "hello v3")?;
    }
    Ok(())
}

fn fault_restarter_gone_after_the_switch(host: &Host) -> Result<()> {
    let app = app(host, "gone")?;
    let (good, started) = (app.current_revision()?, invocation(host, &app)?);
    let next = app.push(waiting("v2"), "Second")?;
    polling(host, &app, 1, || {
        while_it_waits(host, &app, || {
            host.lab()
                .cmd(["systemctl", "stop", SOCKET, RESTARTER])
                .ok()?;
            Ok(())
        })
    })?;
    let why = [
        "cannot reach the restarter",
        "systemctl status pp-restarter.socket",
    ];
    taken_back(&app, &good, &next, &why)?;
    assert_eq!(invocation(host, &app)?, started, "it was never touched");
    assert_eq!(app.status()?.quarantined, [], "not the revision's fault");
    at_rest(host, &app)?;
    // As long as it is away nothing is switched.
    let output = app.poll_exits(1)?;
    assert!(
        output.to_string().contains("cannot reach the restarter"),
        "{output}"
    );
    assert_eq!(
        (app.current_revision()?, invocation(host, &app)?),
        (good, started)
    );

    host.lab().cmd(["systemctl", "start", SOCKET]).ok()?;
    converges(host, &app, &next, "hello v2")
}

fn fault_restarter_denies_after_the_switch(host: &Host) -> Result<()> {
    let app = app(host, "denied")?;
    let (good, started) = (app.current_revision()?, invocation(host, &app)?);
    let next = app.push(waiting("v2"), "Second")?;
    polling(host, &app, 1, || {
        while_it_waits(host, &app, || app.forbid())
    })?;
    let why = [
        "the restarter refused to restart denied.service",
        "/etc/pp-restarter/policy.d",
    ];
    taken_back(&app, &good, &next, &why)?;
    assert_eq!(invocation(host, &app)?, started, "it was never touched");
    assert_eq!(app.status()?.quarantined, [], "not the revision's fault");
    at_rest(host, &app)?;

    app.allow("burst = 3, every = \"10s\"")?;
    converges(host, &app, &next, "hello v2")
}

fn fault_restarter_gone_when_a_sick_release_is_to_be_taken_back(host: &Host) -> Result<()> {
    let app = app(host, "doomed")?;
    let good = app.current_revision()?;
    let bad = app.push(sick("v2"), "Sick")?;
    polling(host, &app, 1, || {
        app.serves("hello v2")?;
        host.lab()
            .cmd(["systemctl", "stop", SOCKET, RESTARTER])
            .ok()?;
        Ok(())
    })?;
    let last = app.last()?;
    let reason = last.reason.unwrap();
    assert_eq!(last.outcome, "stuck", "{reason}");
    for words in [
        "answers 500",
        "did not end well",
        "systemctl status pp-restarter.socket",
    ] {
        assert!(reason.contains(words), "{words:?} is not in: {reason}");
    }
    assert_eq!(
        app.current_revision()?,
        good,
        "whoever restarts it by hand gets the good one"
    );

    host.lab().cmd(["systemctl", "start", SOCKET]).ok()?;
    app.poll_exits(1)?;
    taken_back(&app, &good, &bad, &["answers 500"])?;
    at_rest(host, &app)?;
    let mended = app.push(Perl("v3"), "Mended")?;
    converges(host, &app, &mended, "hello v3")
}

fn fault_restarter_waits_20_s_for_units_that_ignore_sigterm(host: &Host) -> Result<()> {
    let app = app(host, "deaf")?;
    drop_in(host, &app, "TimeoutStopSec=20")?;
    let good = app.deploy(serving("v1", "$SIG{TERM} = 'IGNORE';"), "Deaf")?;
    let bad = app.push(sick("v2"), "Sick")?;
    app.poll_exits(1)?;
    taken_back(&app, &good, &bad, &["answers 500"])?;
    let took = app.last()?.phase("restart").unwrap();
    assert!(took >= 20_000, "it was waited for: {took} ms");
    at_rest(host, &app)?;
    let mended = app.push(Perl("v3"), "Mended")?;
    converges(host, &app, &mended, "hello v3")
}

fn fault_restarter_restarted_while_it_restarts_a_unit(host: &Host) -> Result<()> {
    let (app, next) = slow(host, "orderly")?;
    let before = starts(host, &app)?;
    polling(host, &app, 0, || {
        stopping(host, &app)?;
        host.lab().cmd(["systemctl", "restart", RESTARTER]).ok()?;
        Ok(())
    })?;
    deployed(host, &app, &next, "hello v2")?;
    assert_eq!(
        starts(host, &app)?,
        before + 1,
        "it finished what it had begun"
    );
    let third = app.push(Perl("v3"), "Third")?;
    converges(host, &app, &third, "hello v3")
}

fn fault_restarter_killed_while_it_restarts_a_unit(host: &Host) -> Result<()> {
    let (app, next) = slow(host, "cut")?;
    let before = starts(host, &app)?;
    let output = polling(host, &app, 0, || {
        stopping(host, &app)?;
        host.lab()
            .cmd(["systemctl", "kill", "--signal=KILL", RESTARTER])
            .ok()?;
        Ok(())
    })?;
    let said = output.to_string();
    assert!(
        said.contains("closed the connection without an answer"),
        "{said}"
    );
    deployed(host, &app, &next, "hello v2")?;
    assert_eq!(starts(host, &app)?, before + 1, "it was not asked again");
    let third = app.push(Perl("v3"), "Third")?;
    converges(host, &app, &third, "hello v3")
}

fn fault_restarter_killed_before_it_took_a_request(host: &Host) -> Result<()> {
    let app = app(host, "lost")?;
    let next = app.push(waiting("v2"), "Second")?;
    polling(host, &app, 0, || {
        while_it_waits(host, &app, || {
            // Its privileged half alone: the other asks it before it takes a connection, and waits.
            let monitor = host.lab().property(RESTARTER, "MainPID")?;
            host.lab().cmd(["kill", "-STOP", &monitor]).ok()?;
            Ok(())
        })?;
        wait_until("it is switched", PATIENCE, || {
            Ok((app.current_revision()? == next).then_some(()))
        })?;
        std::thread::sleep(Duration::from_secs(1));
        host.lab()
            .cmd(["systemctl", "kill", "--signal=KILL", RESTARTER])
            .ok()?;
        Ok(())
    })?;
    app.serves("hello v2")?;
    at_rest(host, &app)
}

fn fault_fifty_polls_at_once_beside_the_service(host: &Host) -> Result<()> {
    host.lab().sh("rm -f /etc/pp-fetcher/apps.d/*")?;
    let app = app(host, "crowd")?;
    app.set("interval = \"1m\"", "interval = \"5s\"")?;
    host.lab().cmd(["systemctl", "start", FETCHER]).ok()?;
    let build = Tree::from(Perl("v2")).program("deploy.sh", "#!/bin/sh\nsleep 2\n");
    let next = app.push(build, "Second")?;
    let crowd = "cd \"$(mktemp -d)\"
        for n in $(seq 50); do
            { c=0; pp-fetcher poll crowd >$n.out 2>&1 || c=$?; echo $c >$n.code; } &
        done
        wait
        for n in $(seq 50); do echo \"$(cat $n.code) $(wc -l <$n.out) $(head -n 1 $n.out)\"; done";
    let said = host.lab().as_user("gunicorn").cmd(["sh", "-c", crowd]);
    let said = said.within(POLL).ok()?;
    wait_until(
        "one of them or the service has deployed it",
        PATIENCE,
        || {
            let status = app.status()?;
            Ok((status.live.unwrap().revision == next).then_some(()))
        },
    )?;
    let mut by_a_poll = 0;
    for line in said.lines() {
        let quiet = ["another pass is at work", "nothing new"];
        let quiet = line.starts_with("0 1 ") && quiet.iter().any(|words| line.contains(words));
        by_a_poll += usize::from(!quiet);
        assert!(line.starts_with("0 "), "each leaves with 0: {said}");
    }
    assert_eq!(said.lines().count(), 50, "{said}");
    assert!(
        by_a_poll <= 1,
        "one line each but for the one that deployed: {said}"
    );
    let (attempts, last) = (app.history()?, app.last()?);
    assert_eq!(attempts.len(), 2, "one deploy: {attempts:?}");
    assert_eq!((&*last.outcome, &last.revision), ("good", &next));
    let journal = host.lab().journal(&["-u", FETCHER, "-o", "cat"])?;
    let by_the_service = journal.matches("crowd: good").count();
    assert_eq!(by_the_service + by_a_poll, 1, "{said}\n{journal}");

    host.lab()
        .cmd(["systemctl", "stop", FETCHER])
        .within(PATIENCE)
        .ok()?;
    deployed(host, &app, &next, "hello v2")?;
    let third = app.push(Perl("v3"), "Third")?;
    converges(host, &app, &third, "hello v3")
}
