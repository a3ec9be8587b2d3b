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
            the_doctor_of_root_looks_from_inside_of_the_service,
            the_doctor_of_root_tells_a_mistake_a_sandbox_that_cannot_be_made_and_a_service_that_does_not_run,
            the_doctor_sees_what_a_unit_has_and_the_build_has_not_and_what_shuts_the_unit_out,
            a_build_reads_a_file_of_variables_as_systemd_does,
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

/// Works by hand, and not in the service: the commonest lie about a chain that is broken.
fn the_doctor_of_root_looks_from_inside_of_the_service(host: &Host) -> Result<()> {
    let app = only(host, "inside")?;
    let lab = host.lab();
    lab.sh(
        "install -d -m 2775 -o gunicorn -g hosted_apps /srv/apps/inside
         sed -i 's|/var/www/projects/inside|/srv/apps/inside|' /etc/systemd/system/inside.service
         systemctl daemon-reload",
    )?;
    app.set(
        "root = \"/var/www/projects/inside\"",
        "root = \"/srv/apps/inside\"",
    )?;
    app.push(Perl("v1"), "First")?;
    lab.cmd(["systemctl", "start", UNIT]).ok()?;
    said(host, "inside: /srv/apps/inside is read-only in here")?;
    let by_root = || lab.cmd(["pp-fetcher", "doctor", "inside"]).output();
    let found = by_root()?;
    assert_eq!(found.code, Some(1), "{found}");
    for part in [
        "looked as gunicorn, in the sandbox of pp-fetcher.service",
        "ok       service        pp-fetcher.service polls",
        "FAULT    root           /srv/apps/inside is read-only in here",
        "systemctl edit pp-fetcher",
        "it restarts inside.service for this user",
        "inside: 1 fault",
    ] {
        assert!(found.stdout.contains(part), "{part:?}: {found}");
    }
    let gunicorn = lab.as_user("gunicorn");
    let by_hand = gunicorn.cmd(["pp-fetcher", "doctor", "inside"]).output()?;
    assert_eq!(by_hand.code, Some(0), "{by_hand}");
    assert!(
        by_hand.stdout.contains("outside of any sandbox"),
        "{by_hand}"
    );
    // The doctor's own sandbox has a drop-in as soon as systemd knows it, and the service when it was restarted.
    drop_in(host, "/srv/apps/inside")?;
    let found = by_root()?;
    assert_eq!(found.code, Some(0), "{found}");
    let before = "pp-fetcher.service runs since before /etc/systemd/system/pp-fetcher.service.d/override.conf was written";
    assert!(found.stdout.contains(before), "{found}");
    lab.cmd(["systemctl", "restart", UNIT]).ok()?;
    serves(&app, "hello v1")?;
    let found = by_root()?;
    assert!(found.stdout.contains("is well"), "{found}");
    assert!(found.stdout.contains("no `git pull` in"), "{found}");

    // What the old way has left: root asks sudo and crontab, which have no rights in the sandbox.
    lab.sh("echo '%hosted_apps ALL = NOPASSWD: /bin/systemctl restart inside.service' >/etc/sudoers.d/old
            echo '*/5 * * * * cd /srv/old && git pull -q' | crontab -u gunicorn -")?;
    let found = by_root()?;
    assert_eq!(found.code, Some(0), "{found}");
    for part in [
        "sudo still lets this user restart units without a password",
        "this user's crontab still pulls from git",
    ] {
        assert!(found.stdout.contains(part), "{part:?}: {found}");
    }
    lab.sh(
        "rm /etc/sudoers.d/old; crontab -u gunicorn -r; systemctl stop pp-fetcher
            rm -r /etc/systemd/system/pp-fetcher.service.d; systemctl daemon-reload",
    )?;
    // Where cron polls, there is no sandbox to look from.
    let found = by_root()?;
    assert!(
        found.stdout.contains("looked as gunicorn, outside of any"),
        "{found}"
    );
    Ok(())
}

fn the_doctor_of_root_tells_a_mistake_a_sandbox_that_cannot_be_made_and_a_service_that_does_not_run(
    host: &Host,
) -> Result<()> {
    let app = only(host, "alone")?;
    let lab = host.lab();
    app.push(Perl("v1"), "First")?;
    lab.cmd(["systemctl", "start", UNIT]).ok()?;
    serves(&app, "hello v1")?;
    let by_root = || lab.cmd(["pp-fetcher", "doctor", "alone"]).output();
    // A mistake in a file is told as such, and leaves the JSON of the others whole.
    lab.sh("echo 'intervall = 1' >/etc/pp-fetcher/apps.d/other.toml")?;
    let found = lab.cmd(["pp-fetcher", "doctor", "other"]).output()?;
    assert_eq!(found.code, Some(2), "{found}");
    assert!(found.stderr.contains("intervall"), "{found}");
    assert!(!found.stderr.contains("cannot be made"), "{found}");
    let found = lab.cmd(["pp-fetcher", "doctor", "--json"]).output()?;
    assert_eq!(found.code, Some(2), "{found}");
    serde_json::from_str::<serde_json::Value>(&found.stdout)?;
    lab.sh("rm /etc/pp-fetcher/apps.d/other.toml")?;

    // So is a sandbox that cannot be made, and a service that does not run.
    drop_in(host, "/srv/no-such-directory")?;
    let found = by_root()?;
    assert_eq!(found.code, Some(1), "{found}");
    let told = "the sandbox of pp-fetcher.service cannot be made";
    assert!(found.stderr.contains(told), "{found}");
    drop_in(host, "")?;
    lab.sh("systemctl enable --quiet pp-fetcher; systemctl stop pp-fetcher")?;
    let found = by_root()?;
    assert_eq!(found.code, Some(1), "{found}");
    let told = "pp-fetcher.service is inactive, so nothing polls";
    assert!(found.stdout.contains(told), "{found}");
    lab.sh("systemctl disable --quiet pp-fetcher")?;
    lab.sh("rm -r /etc/systemd/system/pp-fetcher.service.d; systemctl daemon-reload")?;
    Ok(())
}

fn the_doctor_sees_what_a_unit_has_and_the_build_has_not_and_what_shuts_the_unit_out(
    host: &Host,
) -> Result<()> {
    let app = only(host, "units")?;
    let lab = host.lab();
    app.push(Perl("v1"), "First")?;
    lab.cmd(["pp-fetcher", "poll", "units"]).ok()?;
    let directory = "/etc/systemd/system/units.service.d";
    let write = |name: &str, text: &str| {
        lab.write(
            &format!("{directory}/{name}"),
            text.as_bytes(),
            0o644,
            "root:root",
        )
    };
    lab.cmd(["mkdir", directory]).ok()?;
    write("paths.cfg", "")?;
    write(
        "more.conf",
        "[Service]\nUser=nobody\nGroup=nogroup\nEnvironment=SECRET_KEY=x\nEnvironmentFile=-/etc/units.env\n",
    )?;
    lab.sh("systemctl daemon-reload; chmod 2770 /var/www/projects/units")?;
    let found = lab.cmd(["pp-fetcher", "doctor", "units"]).output()?;
    for part in [
        "paths.cfg: the name of a drop-in ends in .conf",
        "if it is to count, as root: mv /etc/systemd/system/units.service.d/paths.cfg",
        "units.service has variables that the build script does not have: Environment= (",
        "SECRET_KEY",
        "EnvironmentFile=/etc/units.env",
        "as nobody, which cannot enter /var/www/projects/units by its owner and mode",
        "unless an ACL lets it in, as root: chmod o+x /var/www/projects/units",
    ] {
        assert!(found.stdout.contains(part), "{part:?}: {found}");
    }
    lab.sh("mv /etc/systemd/system/units.service.d/paths.cfg /etc/systemd/system/units.service.d/paths.cfg.conf
            rm /etc/systemd/system/units.service.d/more.conf; systemctl daemon-reload
            chmod 2775 /var/www/projects/units; systemctl restart units.service")?;
    let found = lab.cmd(["pp-fetcher", "doctor", "units"]).output()?;
    assert_eq!(found.code, Some(0), "{found}");
    assert!(!found.stdout.contains("paths.cfg"), "{found}");
    Ok(())
}

/// Each of these is something that another reader of such files takes for something else.
const VARIABLES: &str = r#"# a comment \
HIDDEN=by the comment before
PLAIN=one two  
SPACED = around 
SINGLE='a "b" \n $HOME '
DOUBLE="a 'b' \"c\" \$HOME \n \\ e"
JOINED=one \
  two
LINES="one
two"
ESCAPED=it\'s\ 
MIXED="a"'b'c d
EMPTY=
export NOT_A_NAME=x
1DIGIT=x
HASH=a#b # c
TABBED="a	b"
;SEMICOLON=x
LAST=end"#;

fn a_build_reads_a_file_of_variables_as_systemd_does(host: &Host) -> Result<()> {
    let app = only(host, "variables")?;
    let lab = host.lab();
    lab.write(
        "/etc/variables.env",
        VARIABLES.as_bytes(),
        0o400,
        "gunicorn:root",
    )?;
    app.set("[deploy]", "[deploy]\nenv_files = [\"/etc/variables.env\"]")?;
    app.push(
        building(
            "v1",
            "python3 -c 'import os, json; print(json.dumps(dict(os.environ)))' >environment",
        ),
        "First",
    )?;
    lab.cmd(["pp-fetcher", "poll", "variables"]).ok()?;
    let ours = lab.sh("cat /var/www/projects/variables/current/environment")?;
    let theirs = lab.sh(
        "systemd-run --quiet --pipe --wait --property=EnvironmentFile=/etc/variables.env \
         python3 -c 'import os, json; print(json.dumps(dict(os.environ)))'",
    )?;
    let read = |text: &str| -> Result<std::collections::BTreeMap<String, String>> {
        Ok(serde_json::from_str(text)?)
    };
    let (ours, theirs) = (read(&ours)?, read(&theirs)?);
    for line in VARIABLES.lines() {
        let name = line.split('=').next().unwrap().trim();
        assert_eq!(
            ours.get(name),
            theirs.get(name),
            "{name}: {ours:?}, {theirs:?}"
        );
    }
    assert_eq!(ours.get("LAST").map(String::as_str), Some("end"));
    Ok(())
}
