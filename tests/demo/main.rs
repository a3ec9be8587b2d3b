//! The demonstration: a throwaway host on which good pushes become the running app and a bad one
//! is taken back, with what each of it cost those who were served. `tests/demo.sh` runs it.

mod narrate;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use narrate::{heading, phases, requests, say, seconds, show};
use pp_tests::app::{App, Django};
use pp_tests::host::Host;
use pp_tests::load::{Load, Tally};
use pp_tests::watch::Watch;

fn main() -> Result<()> {
    let begun = Instant::now();
    let host = a_host()?;
    let app = an_app(&host)?;
    first_push(&host, &app)?;
    let plain = second_push(&host, &app)?;
    let taken_back = bad_push(&host, &app)?;
    what_is_recorded(&host, &app)?;
    let (socket, socket_back) = behind_a_socket(&host)?;
    who_may_what(&host)?;

    heading("Requests lost");
    say("                                        plain --bind    socket held by systemd");
    let row = |what: &str, plain: &Tally, socket: &Tally| {
        let cell = |t: &Tally| format!("{} of {}", t.failed(), t.sent());
        say(format!("{what:<40}{:<16}{}", cell(plain), cell(socket)));
    };
    row("a good deploy", &plain, &socket);
    row("a bad deploy, taken back", &taken_back, &socket_back);
    say(format!(
        "\nAll of this took {}. The host is gone when this program ends.",
        seconds(begun.elapsed())
    ));
    Ok(())
}

fn a_host() -> Result<Host> {
    heading("A throwaway Debian host, both packages installed");
    let start = Instant::now();
    let host = Host::start()?;
    say(format!(
        "booted real systemd, installed the packages, set up a git server: {}",
        seconds(start.elapsed())
    ));
    let lab = host.lab();
    show(
        "root",
        lab.cmd(["dpkg-query", "-W", "pp-restarter", "pp-fetcher"]),
        "dpkg-query -W pp-restarter pp-fetcher",
    )?;
    let socket = "/run/pp-restarter/restarter.sock";
    show(
        "root",
        lab.cmd(["stat", "-c", "%a %U:%G %n", socket]),
        &format!("stat {socket}"),
    )?;
    show(
        "root",
        lab.cmd([
            "sh",
            "-c",
            "grep -r NOPASSWD /etc/sudoers /etc/sudoers.d || echo none",
        ]),
        "grep -r NOPASSWD /etc/sudoers*",
    )?;
    Ok(host)
}

fn an_app(host: &Host) -> Result<App<'_>> {
    heading("A Django app is set up: three files");
    let app = host.django("todo_django")?;
    app.set("steady = \"1s\"", "steady = \"2s\"")?;
    for file in [
        "/etc/pp-fetcher/apps.d/todo_django.toml",
        "/etc/pp-restarter/policy.d/todo_django.toml",
    ] {
        show(
            "root",
            host.lab().cmd(["cat", file]),
            &format!("cat {file}"),
        )?;
    }
    say("The third is its unit, gunicorn.todo_django.service: the example that is shipped.");
    Ok(app)
}

fn curl(host: &Host, app: &App<'_>) -> Result<()> {
    let url = format!("http://127.0.0.1:{}/", app.port());
    let call = host.lab().as_user("gunicorn").cmd(["curl", "-sS", &url]);
    show("anybody", call, &format!("curl {url}"))?;
    Ok(())
}

/// Pushes and polls at once, as the next poll would; shows all of it, and when it was served.
fn push_and_poll(
    host: &Host,
    app: &App<'_>,
    project: Django,
    subject: &str,
    served: Option<&str>,
) -> Result<()> {
    let revision = app.push(project, subject)?;
    let start = Instant::now();
    say(format!(
        "pushed {}: {subject:?}",
        revision.get(..10).unwrap_or_default()
    ));
    let watch = served
        .map(|text| Watch::start(host.lab(), app.port(), text, Duration::from_secs(60)))
        .transpose()?;
    let call = host
        .lab()
        .as_user("gunicorn")
        .cmd(["pp-fetcher", "poll", app.name()]);
    let output = show(
        "gunicorn",
        call.within(Duration::from_secs(120)),
        &format!("pp-fetcher poll {}", app.name()),
    )?;
    let expected = if watch.is_some() { 0 } else { 1 };
    ensure!(
        output.code == Some(expected),
        "the poll was to end with {expected}: {output}"
    );
    let last = app.last()?;
    phases(&last);
    match watch {
        Some(watch) => {
            let took = watch.seen()?.saturating_duration_since(start);
            say(format!(
                "from the push to the first answer of the new version: {}",
                seconds(took)
            ));
        }
        None => say(format!(
            "outcome: {} ({})",
            last.outcome,
            last.reason.unwrap_or_default()
        )),
    }
    Ok(())
}

/// The same while four clients ask all the time, from a second before to a second after.
fn under_load(
    host: &Host,
    app: &App<'_>,
    project: Django,
    subject: &str,
    served: Option<&str>,
) -> Result<Tally> {
    let load = Load::start(host.lab(), app.port(), "/")?;
    std::thread::sleep(Duration::from_secs(1));
    let done = push_and_poll(host, app, project, subject, served);
    std::thread::sleep(Duration::from_secs(1));
    let tally = load.stop()?;
    done?;
    requests("meanwhile", &tally);
    Ok(tally)
}

fn first_push(host: &Host, app: &App<'_>) -> Result<()> {
    heading("v1 is pushed");
    curl(host, app)?;
    push_and_poll(
        host,
        app,
        Django::version("v1"),
        "The first version",
        Some("todo v1"),
    )?;
    curl(host, app)?;
    say("Nothing new is one connection to the git server and not one write:");
    let start = Instant::now();
    app.poll_exits(0)?;
    say(format!(
        "pp-fetcher poll {}: {}",
        app.name(),
        seconds(start.elapsed())
    ));
    Ok(())
}

fn second_push(host: &Host, app: &App<'_>) -> Result<Tally> {
    heading("v2 is pushed while four clients keep asking");
    let tally = under_load(
        host,
        app,
        Django::version("v2"),
        "A better version",
        Some("todo v2"),
    )?;
    curl(host, app)?;
    Ok(tally)
}

fn bad_push(host: &Host, app: &App<'_>) -> Result<Tally> {
    heading("v3 is pushed: it builds, gunicorn says it is ready, and no worker can import it");
    let project = Django::version("v3").crashing_at_import();
    let tally = under_load(host, app, project, "Rewrite it all", None)?;
    curl(host, app)?;
    say("It is not tried again:");
    show(
        "gunicorn",
        host.lab()
            .as_user("gunicorn")
            .cmd(["pp-fetcher", "poll", app.name()]),
        &format!("pp-fetcher poll {}", app.name()),
    )?;
    Ok(tally)
}

fn what_is_recorded(host: &Host, app: &App<'_>) -> Result<()> {
    heading("What is on record");
    let gunicorn = host.lab().as_user("gunicorn");
    show(
        "gunicorn",
        gunicorn.cmd(["pp-fetcher", "status"]),
        "pp-fetcher status",
    )?;
    show(
        "gunicorn",
        gunicorn.cmd(["pp-fetcher", "history", app.name()]),
        &format!("pp-fetcher history {}", app.name()),
    )?;
    let log = [
        "journalctl",
        "--no-pager",
        "-q",
        "-o",
        "cat",
        "-u",
        "pp-restarter.service",
    ];
    host.lab().journal(&["-n", "0"])?;
    show("root", host.lab().cmd(log), "journalctl -u pp-restarter")?;
    Ok(())
}

fn behind_a_socket(host: &Host) -> Result<(Tally, Tally)> {
    heading("The same app behind a socket that systemd holds (shipped as an example)");
    let app = host.django_behind_socket("todo_socket")?;
    push_and_poll(
        host,
        &app,
        Django::version("v1"),
        "The first version",
        Some("todo v1"),
    )?;
    let good = under_load(
        host,
        &app,
        Django::version("v2"),
        "A better version",
        Some("todo v2"),
    )?;
    let project = Django::version("v3").crashing_at_import();
    let back = under_load(host, &app, project, "Rewrite it all", None)?;
    curl(host, &app)?;
    Ok((good, back))
}

fn who_may_what(host: &Host) -> Result<()> {
    heading("Who may restart what");
    let lab = host.lab();
    lab.sh("useradd -G hosted_apps grace; useradd mallory")?;
    show(
        "grace",
        lab.as_user("grace").cmd(["pp-restart", "--list"]),
        "pp-restart --list",
    )?;
    show(
        "grace",
        lab.as_user("grace").cmd(["pp-restart", "ssh.service"]),
        "pp-restart ssh.service",
    )?;
    let unit = "gunicorn.todo_django.service";
    show(
        "mallory",
        lab.as_user("mallory").cmd(["pp-restart", unit]),
        &format!("pp-restart {unit}"),
    )?;
    Ok(())
}
