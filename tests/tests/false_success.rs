//! Kind B, on a real host: "good" is said of an app that runs from the new release and of no other.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::process::ExitCode;

use anyhow::Result;
use pp_tests::app::{App, Django, Perl};
use pp_tests::cases;
use pp_tests::forge::Tree;
use pp_tests::harness::{self, Needs};
use pp_tests::host::Host;

fn main() -> ExitCode {
    harness::run(
        Needs::Packages,
        Host::start,
        cases![
            a_reload_that_does_nothing_is_not_good,
            a_unit_that_cannot_be_reloaded_is_found_before_the_build_and_each_mend_ends_well,
            a_reload_of_gunicorn_that_keeps_its_directory_is_not_good,
            a_worker_of_the_old_release_that_stays_is_not_good,
            a_process_of_ours_that_answers_in_the_apps_place_is_named,
            a_gunicorn_whose_port_somebody_else_holds_is_not_good,
            a_unit_without_a_health_url_that_dies_seconds_after_it_was_active_is_not_good,
        ],
    )
}

/// Writes the app's unit: what is special about it, and its command.
fn unit(host: &Host, app: &App<'_>, text: &str) -> Result<()> {
    let unit = format!(
        "[Service]\nUser=gunicorn\nGroup=hosted_apps\nWorkingDirectory={}/current\nEnvironment=PORT={}\n{text}\n",
        app.dir(),
        app.port()
    );
    let path = format!("/etc/systemd/system/{}", app.unit());
    host.lab()
        .write(&path, unit.as_bytes(), 0o644, "root:root")?;
    host.lab().cmd(["systemctl", "daemon-reload"]).ok()?;
    Ok(())
}

/// Lets the app's unit be reloaded as well.
fn allow_reload(host: &Host, app: &App<'_>) -> Result<()> {
    let toml = format!(
        "[[allow]]\nunits = [\"{}\"]\nverbs = [\"restart\", \"reload\"]\ngroups = [\"hosted_apps\"]\n",
        app.unit()
    );
    host.policy(app.name(), &toml)
}

fn only_reloaded(app: &App<'_>) -> Result<()> {
    let unit = app.unit();
    app.set(
        &format!("units = [\"{unit}\"]"),
        &format!("reload = [\"{unit}\"]"),
    )
}

fn a_reload_that_does_nothing_is_not_good(host: &Host) -> Result<()> {
    let app = host.perl("reloads")?;
    unit(
        host,
        &app,
        "ExecStart=/usr/bin/perl server.pl\nExecReload=/bin/true",
    )?;
    allow_reload(host, &app)?;
    app.deploy(Perl("v1"), "First")?;
    only_reloaded(&app)?;
    app.push(Perl("v2"), "Second")?;
    let output = app.poll_exits(1)?;
    output.says(&[
        "still runs from the release",
        "its reload does not take up new code",
        "list reloads.service in `units`",
    ]);
    app.serves("hello v1")?;
    assert!(
        app.status()?.quarantined.is_empty(),
        "no fault of the revision"
    );
    // As advised.
    app.set(
        "reload = [\"reloads.service\"]",
        "units = [\"reloads.service\"]",
    )?;
    app.poll_exits(0)?;
    app.serves("hello v2")
}

fn a_unit_that_cannot_be_reloaded_is_found_before_the_build_and_each_mend_ends_well(
    host: &Host,
) -> Result<()> {
    let app = host.perl("cannot")?;
    allow_reload(host, &app)?;
    app.deploy(Perl("v1"), "First")?;
    only_reloaded(&app)?;
    app.push(Perl("v2"), "Second")?;
    let output = app.poll_exits(1)?;
    output.says(&[
        "look: cannot.service cannot be reloaded",
        "ExecReload=",
        "list cannot.service in `units`",
    ]);
    // What a reload of it would be: the server begins anew in the new release.
    let again = "Type=simple\nExecStart=/bin/sh -c 'trap : HUP; while :; do cd \"$0\"; perl server.pl & wait; kill $!; wait; done' /var/www/projects/cannot/current\nExecReload=/bin/kill -HUP $MAINPID";
    unit(host, &app, again)?;
    host.lab().cmd(["systemctl", "stop", app.unit()]).ok()?;
    let output = app.poll_exits(1)?;
    assert!(
        output
            .stdout
            .contains("as root: systemctl start cannot.service"),
        "{output}"
    );
    host.lab().cmd(["systemctl", "start", app.unit()]).ok()?;
    app.poll_exits(0)?;
    app.serves("hello v2")
}

fn a_reload_of_gunicorn_that_keeps_its_directory_is_not_good(host: &Host) -> Result<()> {
    let app = host.django("hup")?;
    allow_reload(host, &app)?;
    app.deploy(Django::version("v1"), "First")?;
    only_reloaded(&app)?;
    app.push(Django::version("v2"), "Second")?;
    let output = app.poll_exits(1)?;
    assert!(
        output.stdout.contains("still runs from the release"),
        "{output}"
    );
    app.serves("todo v1")
}

fn a_worker_of_the_old_release_that_stays_is_not_good(host: &Host) -> Result<()> {
    let app = host.perl("worker")?;
    unit(
        host,
        &app,
        "KillMode=process\nExecStart=/bin/sh -c 'sleep 900 & exec /usr/bin/perl server.pl'",
    )?;
    app.deploy(Perl("v1"), "First")?;
    app.push(Perl("v2"), "Second")?;
    let output = app.poll_exits(1)?;
    output.says(&["still runs from the release", "sleep (pid ", "KillMode="]);
    assert!(app.status()?.quarantined.is_empty());
    unit(
        host,
        &app,
        "ExecStart=/bin/sh -c 'sleep 900 & exec /usr/bin/perl server.pl'",
    )?;
    host.lab().cmd(["systemctl", "restart", app.unit()]).ok()?;
    // The way back has the new release's worker in it, which is as stuck; so the advice is retry.
    let status = app.status()?;
    assert_eq!(status.state, "stuck");
    let gunicorn = host.lab().as_user("gunicorn");
    gunicorn.cmd(["pp-fetcher", "retry", app.name()]).ok()?;
    app.poll_exits(0)?;
    app.serves("hello v2")
}

/// Something that answers 200 at the app's port, in place of the app.
fn in_its_place(host: &Host, app: &App<'_>, user: &str) -> Result<()> {
    host.lab().sh(&format!(
        "mkdir -p /opt/other && echo ok >/opt/other/healthz && cd /opt/other
         systemctl stop {unit}
         systemd-run -q --unit=other-{name} --uid={user} --property=WorkingDirectory=/opt/other \\
             python3 -m http.server --bind 127.0.0.1 {port}
         for i in $(seq 50); do ss -ltn | grep -q 127.0.0.1:{port} && break; sleep 0.1; done",
        unit = app.unit(),
        name = app.name(),
        port = app.port()
    ))?;
    Ok(())
}

fn a_process_of_ours_that_answers_in_the_apps_place_is_named(host: &Host) -> Result<()> {
    let app = host.perl("stranger")?;
    app.deploy(Perl("v1"), "First")?;
    in_its_place(host, &app, "gunicorn")?;
    let slow = "Type=simple\nExecStart=/bin/sh -c 'sleep 3; exec /usr/bin/perl server.pl'";
    unit(host, &app, slow)?;
    app.push(Perl("v2"), "Second")?;
    let output = app.poll_exits(1)?;
    output.says(&[
        "is not this app: pid ",
        "python3 -m http.server",
        "belongs to none of the app's units",
    ]);
    assert!(app.status()?.quarantined.is_empty());
    host.lab()
        .cmd(["systemctl", "stop", "other-stranger"])
        .ok()?;
    app.poll_exits(0)?;
    app.serves("hello v2")
}

fn a_gunicorn_whose_port_somebody_else_holds_is_not_good(host: &Host) -> Result<()> {
    let app = host.django("held")?;
    app.deploy(Django::version("v1"), "First")?;
    in_its_place(host, &app, "nobody")?;
    let plain = format!(
        "Type=simple\nExecStart=/usr/bin/gunicorn --bind 127.0.0.1:{} todo.wsgi",
        app.port()
    );
    unit(host, &app, &plain)?;
    // The default, which is to be long enough for that.
    app.set("steady = \"1s\"\n", "")?;
    app.push(Django::version("v2"), "Second")?;
    let output = app.poll_exits(1)?;
    assert!(
        output.stdout.contains("gunicorn.held.service failed"),
        "{output}"
    );
    host.lab().cmd(["systemctl", "stop", "other-held"]).ok()?;
    app.push(Django::version("v3"), "Third")?;
    app.poll_exits(0)?;
    app.serves("todo v3")
}

fn a_unit_without_a_health_url_that_dies_seconds_after_it_was_active_is_not_good(
    host: &Host,
) -> Result<()> {
    let app = host.perl("dies")?;
    app.deploy(Perl("v1"), "First")?;
    let url = format!("url = \"http://127.0.0.1:{}/healthz\"\n", app.port());
    app.set(&url, "")?;
    app.set("steady = \"1s\"\n", "")?;
    let dies = Perl::SERVER.replace("my $server", "sleep 6; exit 1;\nmy $server");
    app.push(Tree::from(Perl("v2")).file("server.pl", dies), "Second")?;
    let output = app.poll_exits(1)?;
    assert!(
        output.stdout.contains("dies.service failed (exit-code)"),
        "{output}"
    );
    app.serves("hello v1")
}
