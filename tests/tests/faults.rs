//! Faults that only a real host shows. Rows of `fetcher/FAULTS.md`, as the suites there.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use pp_tests::app::{App, Perl};
use pp_tests::cases;
use pp_tests::forge::Tree;
use pp_tests::harness::{self, Needs};
use pp_tests::host::Host;
use pp_tests::lab::Output;
use pp_tests::wait::wait_until;

const FETCHER: &str = "pp-fetcher.service";
const RESTARTER: &str = "pp-restarter.service";
const SOCKET: &str = "pp-restarter.socket";

/// Long enough for what happens by itself on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longest a poll may take: two restarts of 20 s, two probes, and other things to do.
const POLL: Duration = Duration::from_secs(180);

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
            fault_restarter_killed_before_it_passed_a_request_on,
            fault_fifty_polls_at_once_beside_the_service,
        ],
    )
}

/// An app whose first version serves, and a restarter as it was installed.
fn app<'h>(host: &'h Host, name: &str) -> Result<App<'h>> {
    host.lab().cmd(["systemctl", "start", SOCKET]).ok()?;
    let app = host.perl(name)?;
    app.deploy(Perl("v1"), "First")?;
    Ok(app)
}

/// What the unit's file does not say, as `systemctl edit` adds it.
fn drop_in(host: &Host, app: &App<'_>, text: &str) -> Result<()> {
    let path = format!("/etc/systemd/system/{}.d/fault.conf", app.unit());
    let text = format!("[Service]\n{text}\n");
    host.lab()
        .write(&path, text.as_bytes(), 0o644, "root:root")?;
    host.lab().cmd(["systemctl", "daemon-reload"]).ok()?;
    Ok(())
}

/// A version whose server does this before it listens.
fn serving(version: &'static str, first: &str) -> Tree {
    let server = Perl::SERVER.replace("my $server", &format!("{first}\nmy $server"));
    Tree::from(Perl(version)).file("server.pl", server)
}

/// A version that serves its page and whose health URL answers 500.
fn sick(version: &'static str) -> Tree {
    let answer = "print $client 'HTTP/1.0 '";
    let server = Perl::SERVER.replace(
        "print $client \"HTTP/1.0 200 OK",
        "my $status = $request =~ /healthz/ ? '500 Sick' : '200 OK';\n    print $client \"HTTP/1.0 $status",
    );
    assert_ne!(server, Perl::SERVER, "{answer}");
    Tree::from(Perl(version)).file("server.pl", server)
}

/// A version whose first build waits until [`go_on`].
fn waiting(version: &'static str) -> Tree {
    let script = "#!/bin/sh
set -eu
cd \"$PP_SHARED\"
test ! -e again || exit 0
touch again waits
while test -e waits; do sleep 0.1; done
";
    Tree::from(Perl(version)).program("deploy.sh", script)
}

fn waits(app: &App<'_>) -> String {
    format!("{}/shared/waits", app.dir())
}

/// Does `meanwhile` while a build waits: what is to be restarted has been asked for already.
fn while_it_waits(
    host: &Host,
    app: &App<'_>,
    meanwhile: impl FnOnce() -> Result<()>,
) -> Result<()> {
    wait_until("the build waits", PATIENCE, || {
        Ok(host.lab().exists(&waits(app))?.then_some(()))
    })?;
    let done = meanwhile();
    host.lab().cmd(["rm", &waits(app)]).ok()?;
    done
}

fn poll(host: &Host, apps: &[&str]) -> Result<Output> {
    let gunicorn = host.lab().as_user("gunicorn");
    let call = gunicorn.cmd(["pp-fetcher", "poll"]);
    call.args(apps.iter().copied()).within(POLL).output()
}

/// Polls, and does `meanwhile` at the same time.
fn polling(
    host: &Host,
    app: &App<'_>,
    code: i32,
    meanwhile: impl FnOnce() -> Result<()>,
) -> Result<Output> {
    let name = app.name();
    std::thread::scope(|scope| {
        let poll = scope.spawn(|| poll(host, &[name]));
        let done = meanwhile();
        let output = poll.join().map_err(|_| anyhow!("the poll panicked"))??;
        done.with_context(|| format!("beside this poll: {output}"))?;
        ensure!(output.code == Some(code), "not exit code {code}: {output}");
        Ok(output)
    })
}

/// Nothing of a poll is left: no process, nothing half-made, nothing unfinished in the books.
fn at_rest(host: &Host, app: &App<'_>) -> Result<()> {
    wait_until("nothing but the apps runs", PATIENCE, || {
        let all = host.lab().cmd(["ps", "-u", "gunicorn", "-o", "args="]);
        let all = all.output()?.stdout;
        let left: Vec<_> = all
            .lines()
            .filter(|line| !line.ends_with("perl server.pl"))
            .collect();
        ensure!(left.is_empty(), "{left:?}");
        Ok(Some(()))
    })?;
    let releases = app.releases()?;
    assert!(
        releases.iter().all(|name| !name.starts_with('.')),
        "{releases:?}"
    );
    let trying = "import json, sys; print(json.load(open(sys.argv[1])).get('trying'))";
    let state = format!("/var/lib/pp-fetcher/{}/state.json", app.name());
    let trying = host.lab().cmd(["python3", "-c", trying, &state]).ok()?;
    assert_eq!(trying, "None");
    Ok(())
}

/// `good` serves, the last attempt was this one, and `why` are words of its reason.
fn taken_back(app: &App<'_>, good: &str, bad: &str, why: &[&str]) -> Result<()> {
    app.serves("hello v1")?;
    assert_eq!(app.current_revision()?, good);
    assert_eq!(app.status()?.live.unwrap().revision, good);
    let last = app.last()?;
    assert_eq!(
        (&*last.outcome, &*last.revision),
        ("rolled-back", bad),
        "{last:?}"
    );
    let reason = last.reason.unwrap();
    println!("{}: {reason}", app.name());
    for words in why {
        assert!(reason.contains(words), "{words:?} is not in: {reason}");
    }
    Ok(())
}

/// The next poll deploys what was pushed last, whatever was in its way before.
fn converges(host: &Host, app: &App<'_>, revision: &str, text: &str) -> Result<()> {
    app.poll_exits(0)?;
    deployed(host, app, revision, text)
}

fn deployed(host: &Host, app: &App<'_>, revision: &str, text: &str) -> Result<()> {
    app.serves(text)?;
    assert_eq!(app.current_revision()?, revision);
    let status = app.status()?;
    assert_eq!(
        (&*status.state, status.live.unwrap().revision),
        ("ok", revision.to_owned())
    );
    at_rest(host, app)
}

fn invocation(host: &Host, app: &App<'_>) -> Result<String> {
    host.lab().property(app.unit(), "InvocationID")
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
        app.set("steady = \"25s\"", "steady = \"1s\"")?;
        app.poll_exits(0)?;
        assert_eq!(app.history()?.len(), 2, "it is not tried again");
        let mended = app.push(Perl("v3"), "Mended")?;
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
    println!("doomed: {reason}");
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

/// An app that takes five seconds to stop, with a second version pushed.
fn slow<'h>(host: &'h Host, name: &str) -> Result<(App<'h>, String)> {
    let app = app(host, name)?;
    drop_in(host, &app, "TimeoutStopSec=5")?;
    app.deploy(serving("v1", "$SIG{TERM} = 'IGNORE';"), "Deaf")?;
    let next = app.push(Perl("v2"), "Second")?;
    Ok((app, next))
}

fn stopping(host: &Host, app: &App<'_>) -> Result<()> {
    wait_until("the unit is stopping", PATIENCE, || {
        let now = host.lab().property(app.unit(), "ActiveState")?;
        Ok((now == "deactivating").then_some(()))
    })
}

/// How often the app's server was started, by whomever.
fn starts(host: &Host, app: &App<'_>) -> Result<usize> {
    let filter = [
        "-u",
        app.unit(),
        "-t",
        "systemd",
        "-g",
        "^Started ",
        "-o",
        "cat",
    ];
    Ok(host.lab().journal(&filter)?.lines().count())
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

fn fault_restarter_killed_before_it_passed_a_request_on(host: &Host) -> Result<()> {
    let app = app(host, "lost")?;
    let (good, started) = (app.current_revision()?, invocation(host, &app)?);
    let next = app.push(waiting("v2"), "Second")?;
    polling(host, &app, 1, || {
        while_it_waits(host, &app, || {
            // Its privileged half alone: the other takes the request and waits.
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
    let why = [
        "closed the connection without an answer",
        "runs from the release before",
    ];
    taken_back(&app, &good, &next, &why)?;
    let _ = started;
    assert_eq!(app.status()?.quarantined, [], "not the revision's fault");
    at_rest(host, &app)?;
    converges(host, &app, &next, "hello v2")
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
    let journal = host
        .lab()
        .journal(&["-u", FETCHER, "-o", "cat", "-g", "crowd: good"])?;
    assert_eq!(journal.lines().count() + by_a_poll, 1, "{said}\n{journal}");

    host.lab()
        .cmd(["systemctl", "stop", FETCHER])
        .within(PATIENCE)
        .ok()?;
    deployed(host, &app, &next, "hello v2")?;
    let third = app.push(Perl("v3"), "Third")?;
    converges(host, &app, &third, "hello v3")
}
