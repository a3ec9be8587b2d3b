//! Kind C, on a real host: an app that is well is not called ill, and what is wrong with the host is found
//! before the build.
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
            allowed_hosts_that_answer_400_are_hinted_at_and_the_key_mends_it,
            a_redirect_to_https_is_hinted_at_and_the_key_mends_it,
            units_that_do_their_work_and_end_are_good,
            a_daemon_that_forks_and_goes_to_the_root_is_good,
            a_unit_that_works_elsewhere_is_told_the_key_and_then_is_good,
            a_health_url_that_answers_after_seven_seconds_is_good,
            what_no_push_can_mend_is_found_before_the_build_and_each_mend_ends_well,
            a_push_mends_a_live_app_that_is_down,
        ],
    )
}

/// A Django project with this at the end of its settings.
fn project(version: &str, settings: &str) -> Tree {
    let tree = Tree::from(Django::version(version));
    let import = format!("from todo.settings import *\n{settings}");
    tree.file("todo/special.py", import).file(
        "todo/wsgi.py",
        "import os\nfrom django.core.wsgi import get_wsgi_application\n\
         os.environ[\"DJANGO_SETTINGS_MODULE\"] = \"todo.special\"\napplication = get_wsgi_application()\n",
    )
}

fn allowed_hosts_that_answer_400_are_hinted_at_and_the_key_mends_it(host: &Host) -> Result<()> {
    let app = host.django("hosts")?;
    app.push(
        project(
            "v1",
            "ALLOWED_HOSTS = [\"todo.example.org\"]\nMIDDLEWARE = [\"django.middleware.common.CommonMiddleware\"]\n",
        ),
        "First",
    )?;
    let output = app.poll_exits(1)?;
    output.says(&[
        "answers 400 instead of 200",
        "ALLOWED_HOSTS",
        "host = \"todo.example.org\" under [health]",
    ]);
    app.set("[health]\n", "[health]\nhost = \"todo.example.org\"\n")?;
    app.poll_exits(0)?;
    assert_eq!(app.status()?.state, "ok");
    Ok(())
}

fn a_redirect_to_https_is_hinted_at_and_the_key_mends_it(host: &Host) -> Result<()> {
    let app = host.django("tls")?;
    let settings = "MIDDLEWARE = [\"django.middleware.security.SecurityMiddleware\"]\n\
                    SECURE_SSL_REDIRECT = True\n\
                    SECURE_PROXY_SSL_HEADER = (\"HTTP_X_FORWARDED_PROTO\", \"https\")\n";
    app.push(project("v1", settings), "First")?;
    let output = app.poll_exits(1)?;
    output.says(&[
        "answers 301 instead of 200",
        "X-Forwarded-Proto = \"https\"",
    ]);
    app.set(
        "[health]\n",
        "[health]\nheaders = { X-Forwarded-Proto = \"https\" }\n",
    )?;
    app.poll_exits(0)?;
    assert_eq!(app.status()?.state, "ok");
    Ok(())
}

/// The app's unit, written anew; its port is in the environment.
fn unit(host: &Host, app: &App<'_>, directory: &str, text: &str) -> Result<()> {
    let unit = format!(
        "[Service]\nUser=gunicorn\nGroup=hosted_apps\nWorkingDirectory={directory}\nEnvironment=PORT={}\n{text}\n",
        app.port()
    );
    let path = format!("/etc/systemd/system/{}", app.unit());
    host.lab()
        .write(&path, unit.as_bytes(), 0o644, "root:root")?;
    host.lab().cmd(["systemctl", "daemon-reload"]).ok()?;
    Ok(())
}

fn no_url(app: &App<'_>) -> Result<()> {
    let url = format!("url = \"http://127.0.0.1:{}/healthz\"\n", app.port());
    app.set(&url, "")
}

fn units_that_do_their_work_and_end_are_good(host: &Host) -> Result<()> {
    for (name, more) in [("once", ""), ("stays", "RemainAfterExit=yes\n")] {
        let app = host.perl(name)?;
        no_url(&app)?;
        let current = format!("{}/current", app.dir());
        unit(
            host,
            &app,
            &current,
            &format!("Type=oneshot\n{more}ExecStart=/bin/cp VERSION /tmp/{name}"),
        )?;
        for version in ["v1", "v2"] {
            app.deploy(Perl(version), version)?;
            assert_eq!(host.lab().read(&format!("/tmp/{name}"))?.trim(), version);
        }
        let bad = format!("Type=oneshot\n{more}ExecStart=/bin/false");
        unit(host, &app, &current, &bad)?;
        app.push(Perl("v3"), "Third")?;
        let output = app.poll_exits(1)?;
        assert!(output.stdout.contains("with an error"), "{output}");
    }
    Ok(())
}

fn a_daemon_that_forks_and_goes_to_the_root_is_good(host: &Host) -> Result<()> {
    let app = host.perl("daemon")?;
    let current = format!("{}/current", app.dir());
    unit(
        host,
        &app,
        &current,
        "Type=forking\nExecStart=/usr/bin/perl server.pl",
    )?;
    let daemon = Perl::SERVER.replace(
        "while (1) {",
        "exit 0 if fork; chdir '/'; use POSIX (); POSIX::setsid();\nwhile (1) {",
    );
    for version in ["v1", "v2"] {
        app.deploy(
            Tree::from(Perl(version)).file("server.pl", daemon.clone()),
            version,
        )?;
        app.serves(&format!("hello {version}"))?;
    }
    Ok(())
}

fn a_unit_that_works_elsewhere_is_told_the_key_and_then_is_good(host: &Host) -> Result<()> {
    let app = host.perl("web")?;
    app.deploy(Perl("v1"), "First")?;
    host.lab()
        .sh("install -d -o gunicorn -g hosted_apps /var/lib/beat")?;
    let beat = "[Service]\nUser=gunicorn\nGroup=hosted_apps\nWorkingDirectory=/var/lib/beat\nExecStart=/bin/sleep 900\n";
    host.lab().write(
        "/etc/systemd/system/beat.service",
        beat.as_bytes(),
        0o644,
        "root:root",
    )?;
    host.lab().cmd(["systemctl", "daemon-reload"]).ok()?;
    host.policy(
        "beat",
        "[[allow]]\nunits = [\"beat.service\"]\ngroups = [\"hosted_apps\"]\n",
    )?;
    app.set(
        "units = [\"web.service\"]",
        "units = [\"web.service\", \"beat.service\"]",
    )?;
    app.push(Perl("v2"), "Second")?;
    let output = app.poll_exits(1)?;
    output.says(&[
        "look: ",
        "beat.service works in /var/lib/beat",
        "elsewhere = [\"beat.service\"] under [restart]",
    ]);
    app.serves("hello v1")?;
    app.set("[restart]\n", "[restart]\nelsewhere = [\"beat.service\"]\n")?;
    app.poll_exits(0)?;
    app.serves("hello v2")
}

fn a_health_url_that_answers_after_seven_seconds_is_good(host: &Host) -> Result<()> {
    let app = host.perl("slow")?;
    app.set("within = \"10s\"", "within = \"60s\"")?;
    let slow = Perl::SERVER.replace(
        "print $client \"HTTP/1.0",
        "sleep 7 if !$main::compiled++;\n    print $client \"HTTP/1.0",
    );
    app.deploy(Tree::from(Perl("v1")).file("server.pl", slow), "First")?;
    let probe = app.last()?.phase("probe").unwrap();
    assert!(probe >= 7000, "{probe} ms: its first answer was waited for");
    Ok(())
}

fn what_no_push_can_mend_is_found_before_the_build_and_each_mend_ends_well(
    host: &Host,
) -> Result<()> {
    let app = host.perl("wrong")?;
    let path = "/etc/systemd/system/wrong.service";
    let good = host.lab().read(path)?;
    app.deploy(Perl("v1"), "First")?;
    let cases = [
        (
            "echo '# changed' >>PATH",
            "systemctl daemon-reload",
            "systemctl daemon-reload",
        ),
        (
            "systemctl stop wrong && mv PATH /root/kept && systemctl daemon-reload",
            "systemd knows no unit wrong.service",
            "mv /root/kept PATH && systemctl daemon-reload",
        ),
        (
            "systemctl stop wrong && mv PATH /root/kept && systemctl daemon-reload && systemctl mask wrong",
            "systemctl unmask wrong.service",
            "systemctl unmask wrong.service && mv /root/kept PATH && systemctl daemon-reload",
        ),
        (
            "systemctl stop wrong && sed -i 's|^WorkingDirectory=.*|WorkingDirectory=/var/www/projects/wrong|' PATH && systemctl daemon-reload",
            "WorkingDirectory=/var/www/projects/wrong/current",
            "sed -i 's|^WorkingDirectory=.*|WorkingDirectory=/var/www/projects/wrong/current|' PATH && systemctl daemon-reload",
        ),
        (
            "systemctl stop wrong && sed -i 's|^ExecStart=|#ExecStart=|' PATH && systemctl daemon-reload",
            "systemd-analyze verify wrong.service",
            "sed -i 's|^#ExecStart=|ExecStart=|' PATH && systemctl daemon-reload",
        ),
    ];
    for ((break_it, told, mend), version) in cases.into_iter().zip(["v2", "v3", "v4", "v5", "v6"]) {
        host.lab().sh(&break_it.replace("PATH", path))?;
        app.push(Perl(version), version)?;
        let gunicorn = host.lab().as_user("gunicorn");
        let dry = gunicorn
            .cmd(["pp-fetcher", "poll", "wrong", "--dry-run"])
            .output()?;
        assert!(
            dry.code == Some(1) && dry.stdout.contains(told),
            "{told}: {dry}"
        );
        let releases = app.releases()?.len();
        let output = app.poll_exits(1)?;
        assert!(
            output.stdout.contains("look: ") && output.stdout.contains(told),
            "{output}"
        );
        assert_eq!(app.releases()?.len(), releases, "nothing was built");
        assert!(app.status()?.quarantined.is_empty(), "nothing is held");
        host.lab().sh(&mend.replace("PATH", path))?;
        app.poll_exits(0)?;
        app.serves(&format!("hello {version}"))?;
    }
    assert!(host.lab().read(path)?.starts_with(&good));
    Ok(())
}

fn a_push_mends_a_live_app_that_is_down(host: &Host) -> Result<()> {
    let app = host.perl("down")?;
    app.deploy(Perl("v1"), "First")?;
    host.lab().cmd(["systemctl", "stop", app.unit()]).ok()?;
    app.push(Perl("v2"), "Second")?;
    let output = app.poll_exits(0)?;
    assert!(
        output
            .stdout
            .contains("before this deploy the app is not well"),
        "{output}"
    );
    app.serves("hello v2")
}
