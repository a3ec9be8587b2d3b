//! The fetcher as a service: what systemd sees of it, and what its end leaves behind.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use pp_tests::app::{App, Perl};
use pp_tests::cases;
use pp_tests::forge::Tree;
use pp_tests::harness::{self, Needs};
use pp_tests::host::Host;
use pp_tests::lab::Lab;
use pp_tests::wait::wait_until;

const UNIT: &str = "pp-fetcher.service";

/// Long enough for a poll and a deploy on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    harness::run(
        Needs::Packages,
        Host::start,
        cases![
            once_enabled_it_deploys_and_says_what_it_does,
            what_its_build_scripts_write_is_the_groups,
            sighup_takes_new_apps_and_a_broken_file_stops_its_own_app_alone,
            a_stop_abandons_a_build_and_the_next_start_deploys,
            a_stop_after_the_switch_finishes_the_deploy,
            a_hang_is_ended_by_the_watchdog_and_the_next_start_deploys,
            waiting_after_failures_is_remembered_from_the_service_to_cron,
            polls_share_a_connection_that_ends_with_the_service,
            a_poll_that_waits_shows_what_the_service_deploys_and_ends_as_that_does,
        ],
    )
}

/// The service, with the apps of earlier cases gone; stopped when dropped.
struct Service<'h>(&'h Lab);

impl Drop for Service<'_> {
    fn drop(&mut self) {
        let _ = self.0.cmd(["systemctl", "stop", UNIT]).output();
    }
}

impl<'h> Service<'h> {
    fn start(host: &'h Host) -> Result<Self> {
        let service = Self(host.lab());
        // Returns when it has said READY.
        service.0.cmd(["systemctl", "start", UNIT]).ok()?;
        Ok(service)
    }

    fn stop(&self) -> Result<Duration> {
        let began = Instant::now();
        self.0
            .cmd(["systemctl", "stop", UNIT])
            .within(PATIENCE)
            .ok()?;
        Ok(began.elapsed())
    }

    fn pid(&self) -> Result<String> {
        self.0.property(UNIT, "MainPID")
    }

    fn says(&self, status: &str) -> Result<()> {
        wait_until(&format!("STATUS is {status:?}"), PATIENCE, || {
            let now = self.0.property(UNIT, "StatusText")?;
            ensure!(now == status, "it is {now:?}");
            Ok(Some(()))
        })
    }
}

/// An app that is polled as often as can be, the only one.
fn app<'h>(host: &'h Host, name: &str) -> Result<App<'h>> {
    host.lab().sh("rm -f /etc/pp-fetcher/apps.d/*")?;
    another_app(host, name)
}

fn another_app<'h>(host: &'h Host, name: &str) -> Result<App<'h>> {
    let app = host.perl(name)?;
    app.set("interval = \"1m\"", "interval = \"5s\"")?;
    Ok(app)
}

fn deployed(app: &App<'_>, text: &str) -> Result<()> {
    wait_until(&format!("{} serves {text:?}", app.name()), PATIENCE, || {
        let got = app.get("/")?;
        ensure!(got.body.starts_with(text), "it serves {got:?}");
        let status = app.status()?;
        let live = status.live.map(|live| live.revision).unwrap_or_default();
        // It serves before it has been found good and written down.
        let done = status.state == "ok" && live == app.current_revision()?;
        ensure!(done, "{live:?} is live, its state {}", status.state);
        Ok(Some(()))
    })
}

/// A version whose build script does this first.
fn building(version: &'static str, script: &str) -> Tree {
    Tree::from(Perl(version)).program("deploy.sh", format!("#!/bin/sh\nset -eu\n{script}\n"))
}

fn once_enabled_it_deploys_and_says_what_it_does(host: &Host) -> Result<()> {
    let app = app(host, "served")?;
    host.lab()
        .cmd(["systemctl", "enable", "--quiet", UNIT])
        .ok()?;
    let service = Service::start(host)?;
    let property = |name| host.lab().property(UNIT, name);
    assert_eq!(property("ActiveState")?, "active");
    assert_eq!(property("SubState")?, "running");
    assert_eq!(property("UnitFileState")?, "enabled");
    service.says("polling served")?;
    let shown = host.lab().cmd(["systemctl", "status", UNIT]).ok()?;
    assert!(shown.contains("Status: \"polling served\""), "{shown}");

    app.push(Perl("v1"), "First")?;
    deployed(&app, "hello v1")?;
    app.push(Perl("v2"), "Second")?;
    deployed(&app, "hello v2")?;
    assert_eq!(app.history()?.len(), 2);

    let filter = ["-u", UNIT, "-t", "pp-fetcher", "-o", "cat"];
    let journal = host.lab().journal(&filter)?;
    for line in ["served: deploying", "served: good: "] {
        assert!(journal.contains(line), "{line:?} is told: {journal}");
    }
    let by = host.lab().journal(&["-u", UNIT, "-o", "short"])?;
    assert!(by.lines().any(|l| l.contains(" pp-fetcher[")), "{by}");
    service.stop()?;
    assert_eq!(
        (property("Result")?, property("ActiveState")?),
        ("success".to_owned(), "inactive".to_owned())
    );
    Ok(())
}

fn what_its_build_scripts_write_is_the_groups(host: &Host) -> Result<()> {
    let app = app(host, "grouped")?;
    let script = "umask >umask; id -un >who; id -Gn >>who
        mkdir -p made/deep; echo x >made/deep/file
        mkdir -p \"$PP_SHARED/kept\"; echo x >\"$PP_SHARED/kept/file\"; echo x >\"$STATIC_ROOT/style.css\"";
    let service = Service::start(host)?;
    app.push(building("v1", script), "First")?;
    deployed(&app, "hello v1")?;
    let current = format!("{}/current", app.dir());
    assert_eq!(host.lab().read(&format!("{current}/umask"))?, "0002");
    assert_eq!(
        host.lab().read(&format!("{current}/who"))?,
        "gunicorn\nhosted_apps"
    );
    let odd = host.lab().sh(&format!(
        "find {} /www/static/grouped \\( ! -type l ! -group hosted_apps \\
             -o -type d ! -perm -2775 -o -type f ! -perm -0664 \\) -printf '%M %u %g %p\\n'",
        app.dir()
    ))?;
    assert_eq!(
        odd, "",
        "the group may write everything, directories pass it on"
    );
    drop(service);
    Ok(())
}

fn sighup_takes_new_apps_and_a_broken_file_stops_its_own_app_alone(host: &Host) -> Result<()> {
    let one = app(host, "one")?;
    one.push(Perl("v1"), "First")?;
    let service = Service::start(host)?;
    let pid = service.pid()?;
    deployed(&one, "hello v1")?;

    let two = another_app(host, "two")?;
    two.push(Perl("v1"), "First")?;
    let reload = || host.lab().cmd(["systemctl", "reload", UNIT]).ok();
    reload()?;
    service.says("polling one, two")?;
    deployed(&two, "hello v1")?;

    one.set("branch = ", "branhc = ")?;
    reload()?;
    service.says("polling two; 1 file has a mistake, see the journal")?;
    two.push(Perl("v2"), "Second")?;
    deployed(&two, "hello v2")?;
    let journal = host.lab().journal(&["-u", UNIT, "-o", "cat"])?;
    assert!(
        journal.contains("apps.d/one.toml:2:1") && journal.contains("branhc"),
        "file, line and column are told: {journal}"
    );

    one.set("branhc = ", "branch = ")?;
    one.push(Perl("v2"), "Second")?;
    reload()?;
    service.says("polling one, two")?;
    deployed(&one, "hello v2")?;
    assert_eq!(service.pid()?, pid, "it was never restarted");
    Ok(())
}

/// Waits until a process of this command line is there; gives back its pid.
fn running(host: &Host, command: &str) -> Result<String> {
    let pattern = format!("^{command}$");
    wait_until(&format!("{command:?} runs"), PATIENCE, || {
        let found = host.lab().cmd(["pgrep", "-fx", &pattern]).output()?;
        Ok((found.code == Some(0)).then(|| found.stdout.trim().to_owned()))
    })
}

fn nothing_runs(host: &Host, command: &str) -> Result<()> {
    wait_until(&format!("{command:?} is gone"), PATIENCE, || {
        let found = host.lab().cmd(["pgrep", "-fx", command]).output()?;
        Ok((found.code == Some(1)).then_some(()))
    })
}

fn a_stop_abandons_a_build_and_the_next_start_deploys(host: &Host) -> Result<()> {
    let app = app(host, "halted")?;
    let kept = app.deploy(Perl("v1"), "First")?;
    let service = Service::start(host)?;
    // The first time it takes for ever.
    let script = "test -e \"$PP_SHARED/again\" || { touch \"$PP_SHARED/again\"; sleep 7001; }";
    let revision = app.push(building("v2", script), "Slow the first time")?;
    running(host, "sleep 7001")?;
    let took = service.stop()?;
    assert!(
        took < Duration::from_secs(30),
        "it does not wait for the build: {took:?}"
    );
    assert_eq!(host.lab().property(UNIT, "Result")?, "success");
    nothing_runs(host, "sleep 7001")?;
    app.serves("hello v1")?;
    assert_eq!(app.current_revision()?, kept);
    let last = app.last()?;
    assert_eq!((&*last.outcome, &*last.revision), ("failed", &*revision));
    let reason = last.reason.unwrap();
    assert!(reason.contains("told to stop"), "{reason}");
    assert_eq!(app.status()?.quarantined, [], "not the revision's fault");
    assert_eq!(app.releases()?.len(), 1, "nothing half-made is left");

    let service = Service::start(host)?;
    deployed(&app, "hello v2")?;
    assert_eq!(app.current_revision()?, revision);
    drop(service);
    Ok(())
}

fn a_stop_after_the_switch_finishes_the_deploy(host: &Host) -> Result<()> {
    let app = app(host, "finished")?;
    app.set("steady = \"1s\"", "steady = \"5s\"")?;
    app.deploy(Perl("v1"), "First")?;
    let service = Service::start(host)?;
    let revision = app.push(Perl("v2"), "Second")?;
    wait_until("it is switched", PATIENCE, || {
        Ok((app.current_revision()? == revision).then_some(()))
    })?;
    service.stop()?;
    let last = app.last()?;
    assert_eq!((&*last.outcome, &*last.revision), ("good", &*revision));
    app.serves("hello v2")?;
    assert_eq!(app.status()?.state, "ok");
    Ok(())
}

fn a_hang_is_ended_by_the_watchdog_and_the_next_start_deploys(host: &Host) -> Result<()> {
    let app = app(host, "hung")?;
    app.deploy(Perl("v1"), "First")?;
    // As an administrator changes it; shorter than shipped, so that the test need not wait.
    let directory = format!("/run/systemd/system/{UNIT}.d");
    let drop_in = "[Service]\nWatchdogSec=4s\nRestartSec=1s\n";
    host.lab().write(
        &format!("{directory}/short.conf"),
        drop_in.as_bytes(),
        0o644,
        "root:root",
    )?;
    host.lab().cmd(["systemctl", "daemon-reload"]).ok()?;
    let service = Service::start(host)?;
    let pid = service.pid()?;
    std::thread::sleep(Duration::from_secs(10));
    assert_eq!(
        service.pid()?,
        pid,
        "as long as it is well nothing happens to it"
    );

    let script = "test -e \"$PP_SHARED/again\" || { touch \"$PP_SHARED/again\"; sleep 7002; }";
    let revision = app.push(building("v2", script), "Hangs the first time")?;
    running(host, "sleep 7002")?;
    host.lab().cmd(["kill", "-STOP", &pid]).ok()?;
    wait_until("systemd starts it again", PATIENCE, || {
        let now = service.pid()?;
        Ok((now != pid && now != "0").then_some(()))
    })?;
    nothing_runs(host, "sleep 7002")?;
    let journal = host.lab().journal(&["-u", UNIT, "-o", "cat"])?;
    assert!(journal.contains("Watchdog timeout"), "{journal}");
    deployed(&app, "hello v2")?;
    assert_eq!(app.current_revision()?, revision);
    drop(service);
    host.lab()
        .sh(&format!("rm -r {directory}; systemctl daemon-reload"))?;
    Ok(())
}

fn waiting_after_failures_is_remembered_from_the_service_to_cron(host: &Host) -> Result<()> {
    let app = app(host, "patient")?;
    app.deploy(Perl("v1"), "First")?;
    let gunicorn = host.lab().as_user("gunicorn");
    let state = "/var/lib/pp-fetcher/patient/state.json";
    let failures = || -> Result<u32> {
        let count = "import json, sys; print((json.load(open(sys.argv[1]))['trouble'] or {}).get('count', 0))";
        Ok(gunicorn
            .cmd(["python3", "-c", count, state])
            .ok()?
            .parse()?)
    };
    assert_eq!(failures()?, 0);
    let service = Service::start(host)?;
    host.lab()
        .cmd(["systemctl", "stop", "forge.service"])
        .ok()?;
    // After the third in a row it waits four times its interval.
    wait_until("it has failed three times", PATIENCE * 2, || {
        Ok((failures()? >= 3).then_some(()))
    })?;
    service.stop()?;
    assert_eq!(app.status()?.state, "failing");
    app.serves("hello v1")?;

    let counted = failures()?;
    let logins = host.forge().logins(host.lab())?;
    host.lab()
        .cmd(["systemctl", "start", "forge.service"])
        .ok()?;
    let by_cron = gunicorn.cmd(["pp-fetcher", "poll"]).output()?;
    assert_eq!(by_cron.code, Some(0), "{by_cron}");
    assert_eq!(failures()?, counted, "cron's run waits as well: {by_cron}");
    assert_eq!(
        host.forge().logins(host.lab())?,
        logins,
        "the forge is left alone"
    );
    app.poll_exits(0)?;
    assert_eq!(failures()?, 0, "whoever asks by name does not wait");
    assert_eq!(app.status()?.state, "ok");
    Ok(())
}

fn polls_share_a_connection_that_ends_with_the_service(host: &Host) -> Result<()> {
    let lab = host.lab();
    let app = app(host, "shared")?;
    app.push(Perl("v1"), "First")?;
    let service = Service::start(host)?;
    deployed(&app, "hello v1")?;
    let seen = |text: &str| -> Result<usize> {
        let log = lab.sh("journalctl --sync; journalctl -o cat -u forge.service")?;
        Ok(log.matches(text).count())
    };
    let (logins, sessions) = (seen("Accepted publickey")?, seen("Starting session")?);
    wait_until("three more polls", PATIENCE, || {
        Ok((seen("Starting session")? >= sessions + 3).then_some(()))
    })?;
    assert_eq!(seen("Accepted publickey")?, logins, "no login for a poll");
    let directory = lab.sh("stat -c '%a %U' /run/pp-fetcher/ssh-*")?;
    assert_eq!(directory, "700 gunicorn");
    // Somebody else who asks to stop: a killed service leaves nothing either.
    let masters = "pgrep -u gunicorn -cf 'ssh.*ControlPersist' || true";
    assert_eq!(lab.sh(masters)?, "1");
    service.stop()?;
    assert_eq!(lab.sh(masters)?, "0");
    assert!(!lab.exists("/run/pp-fetcher")?);
    lab.sh(&format!("systemctl start {UNIT}"))?;
    wait_until("a connection", PATIENCE, || {
        Ok((lab.sh(masters)? == "1").then_some(()))
    })?;
    lab.sh(&format!("kill -KILL {}", service.pid()?))?;
    wait_until("nothing is left", Duration::from_secs(5), || {
        Ok((lab.sh(masters)? == "0").then_some(()))
    })
}

fn a_poll_that_waits_shows_what_the_service_deploys_and_ends_as_that_does(
    host: &Host,
) -> Result<()> {
    let app = app(host, "watched")?;
    app.deploy(Perl("v1"), "First")?;
    let service = Service::start(host)?;
    for (end, code, outcome) in [("true", 0, "good"), ("false", 1, "failed")] {
        app.push(building("v2", &format!("sleep 3\n{end}")), outcome)?;
        let attempts = app.history()?.len();
        let status = ["pp-fetcher", "status", app.name()];
        let gunicorn = host.lab().as_user("gunicorn");
        wait_until("the service builds", PATIENCE, || {
            let shown = gunicorn.cmd(status).output()?.stdout;
            Ok(shown.contains(": build, begun").then_some(()))
        })?;
        let poll = ["pp-fetcher", "poll", app.name(), "--wait"];
        let output = gunicorn.cmd(poll).within(PATIENCE).output()?;
        assert_eq!(output.code, Some(code), "{output}");
        output.says(&[&format!(
            "deploying {}",
            app.last()?.revision.get(..12).unwrap()
        )]);
        output.says(&["  build ", &format!("watched: {outcome}: ")]);
        assert_eq!(app.history()?.len(), attempts + 1, "{output}");
        assert_eq!(app.last()?.outcome, outcome);
    }
    app.serves("hello v2")?;
    drop(service);
    Ok(())
}
