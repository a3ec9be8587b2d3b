//! Kind H: what works by hand and cannot work in the service is told when the service begins, with what
//! to write where.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use pp_tests::app::{App, Perl};
use pp_tests::cases;
use pp_tests::forge::Tree;
use pp_tests::harness::{self, Needs};
use pp_tests::host::Host;
use pp_tests::wait::wait_until;

const UNIT: &str = "pp-fetcher.service";
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    harness::run(
        Needs::Packages,
        Host::start,
        cases![
            the_package_makes_the_directory_of_static_files,
            a_root_outside_of_the_units_paths_is_told_at_load_and_the_drop_in_mends_it,
            a_build_that_writes_where_the_unit_lets_it_not_is_told_and_not_held,
            a_build_that_calls_sudo_is_told_why_it_cannot,
            a_member_is_told_the_line_that_polls_and_it_does,
        ],
    )
}

/// The journal of the service since its last start.
fn said(host: &Host, part: &str) -> Result<()> {
    wait_until(&format!("the service says {part:?}"), PATIENCE, || {
        let id = host.lab().property(UNIT, "InvocationID")?;
        let journal =
            host.lab()
                .journal(&[&format!("_SYSTEMD_INVOCATION_ID={id}"), "-o", "cat"])?;
        ensure!(journal.contains(part), "it says {journal}");
        Ok(Some(()))
    })
}

fn serves(app: &App<'_>, text: &str) -> Result<()> {
    wait_until(&format!("it serves {text:?}"), PATIENCE, || {
        let got = app.get("/")?;
        ensure!(got.body.starts_with(text), "it serves {got:?}");
        Ok(Some(()))
    })
}

fn only<'h>(host: &'h Host, name: &str) -> Result<App<'h>> {
    host.lab()
        .sh("systemctl stop pp-fetcher; rm -f /etc/pp-fetcher/apps.d/*")?;
    let app = host.perl(name)?;
    app.set("interval = \"1m\"", "interval = \"5s\"")?;
    Ok(app)
}

/// As `systemctl edit pp-fetcher` does.
fn drop_in(host: &Host, paths: &str) -> Result<()> {
    let text = format!("[Service]\nReadWritePaths={paths}\n");
    let path = "/etc/systemd/system/pp-fetcher.service.d/override.conf";
    host.lab()
        .write(path, text.as_bytes(), 0o644, "root:root")?;
    host.lab().cmd(["systemctl", "daemon-reload"]).ok()?;
    Ok(())
}

fn the_package_makes_the_directory_of_static_files(host: &Host) -> Result<()> {
    assert_eq!(host.lab().stat("/www/static")?, "2775 root hosted_apps");
    Ok(())
}

fn a_root_outside_of_the_units_paths_is_told_at_load_and_the_drop_in_mends_it(
    host: &Host,
) -> Result<()> {
    let app = only(host, "elsewhere")?;
    host.lab().sh(
        "install -d -m 2775 -o gunicorn -g hosted_apps /srv/apps/elsewhere
         sed -i 's|/var/www/projects/elsewhere|/srv/apps/elsewhere|' /etc/systemd/system/elsewhere.service
         systemctl daemon-reload",
    )?;
    app.set(
        "root = \"/var/www/projects/elsewhere\"",
        "root = \"/srv/apps/elsewhere\"",
    )?;
    app.push(Perl("v1"), "First")?;
    host.lab().cmd(["systemctl", "start", UNIT]).ok()?;
    said(host, "elsewhere: /srv/apps/elsewhere is read-only in here")?;
    said(
        host,
        "systemctl edit pp-fetcher, there [Service] and ReadWritePaths=/srv/apps/elsewhere",
    )?;
    said(
        host,
        "failed: look: /srv/apps/elsewhere is read-only in here",
    )?;
    // At a reload as well.
    host.lab().cmd(["systemctl", "reload", UNIT]).ok()?;
    drop_in(host, "/srv/apps/elsewhere")?;
    host.lab().cmd(["systemctl", "restart", UNIT]).ok()?;
    // What has failed again and again is waited for; somebody who asks is not.
    serves(&app, "hello v1")?;
    host.lab().sh("systemctl stop pp-fetcher; rm -r /etc/systemd/system/pp-fetcher.service.d; systemctl daemon-reload")?;
    Ok(())
}

fn building(version: &'static str, script: &str) -> Tree {
    Tree::from(Perl(version)).program("deploy.sh", format!("#!/bin/sh\nset -eu\n{script}\n"))
}

fn a_build_that_writes_where_the_unit_lets_it_not_is_told_and_not_held(host: &Host) -> Result<()> {
    let app = only(host, "statics")?;
    host.lab()
        .sh("install -d -m 2775 -o gunicorn -g hosted_apps /opt/statics")?;
    app.set(
        "STATIC_ROOT = \"/www/static/statics\"",
        "STATIC_ROOT = \"/opt/statics\"",
    )?;
    app.push(
        building("v1", "echo x >\"$STATIC_ROOT/style.css\""),
        "First",
    )?;
    host.lab().cmd(["systemctl", "start", UNIT]).ok()?;
    said(
        host,
        "STATIC_ROOT under [deploy.env] is /opt/statics: /opt/statics is read-only in here",
    )?;
    said(
        host,
        "it ran in a unit that lets it write to its ReadWritePaths= alone",
    )?;
    let status = app.status()?;
    assert!(status.quarantined.is_empty(), "{status:?}");
    drop_in(host, "/opt/statics")?;
    host.lab().cmd(["systemctl", "restart", UNIT]).ok()?;
    serves(&app, "hello v1")?;
    host.lab().sh("systemctl stop pp-fetcher; rm -r /etc/systemd/system/pp-fetcher.service.d; systemctl daemon-reload")?;
    Ok(())
}

fn a_member_is_told_the_line_that_polls_and_it_does(host: &Host) -> Result<()> {
    let app = only(host, "asked")?;
    app.push(Perl("v1"), "First")?;
    host.lab()
        .sh("id grace >/dev/null 2>&1 || useradd -m -G hosted_apps grace")?;
    let grace = host.lab().as_user("grace");
    let output = grace.cmd(["pp-fetcher", "poll", "asked"]).output()?;
    assert_eq!(output.code, Some(2), "{output}");
    let line = output
        .stderr
        .split("as root: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    assert_eq!(line, "pp-fetcher poll asked");
    host.lab().sh(line)?;
    serves(&app, "hello v1")
}

fn a_build_that_calls_sudo_is_told_why_it_cannot(host: &Host) -> Result<()> {
    let app = only(host, "privileged")?;
    app.push(building("v1", "chown root VERSION"), "First")?;
    host.lab().cmd(["systemctl", "start", UNIT]).ok()?;
    said(host, "it ran in a unit without any privilege")?;
    app.push(Perl("v2"), "Second")?;
    serves(&app, "hello v2")?;
    host.lab().cmd(["systemctl", "stop", UNIT]).ok()?;
    Ok(())
}
