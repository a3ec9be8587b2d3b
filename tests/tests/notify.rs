//! People know: from a push, a failure and an outage to what each target is told, with the real units of both packages.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pp_tests::app::Perl;
use pp_tests::cases;
use pp_tests::forge::Tree;
use pp_tests::harness::{self, Needs};
use pp_tests::host::{self, Host};
use pp_tests::wait::wait_until;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

/// A minute's timer and its accuracy.
const TWO_MINUTES: Duration = Duration::from_secs(150);

const CONFIG: &str = r#"
[[target]]
name = "hook"
type = "webhook"
url  = "http://127.0.0.1:9999/hook"

[[target]]
name     = "team"
type     = "slack"
url_file = "/etc/pp-notify/team.url"
events   = ["failed", "recovered"]

[[target]]
name = "ops"
type = "mail"
to   = ["ops@example.org"]

[[target]]
name    = "program"
type    = "command"
command = ["/usr/local/bin/setgid-tee", "-a", "/var/local/told"]

[[target]]
name = "beat"
type = "heartbeat"
url  = "http://127.0.0.1:9999/beat"
"#;

fn main() -> ExitCode {
    harness::run(
        Needs::Packages,
        start,
        cases![
            a_test_reaches_every_target_and_the_check_says_what_is_missing,
            each_change_is_told_once_to_each_target,
            no_app_reads_a_token_and_pp_notify_restarts_nothing,
            a_thousand_failures_are_ten_messages_at_most_and_stop_no_deploy,
            a_heartbeat_comes_while_polls_end_well,
            the_service_writes_the_page_and_the_metrics,
            what_the_restarter_did_and_refused_is_counted,
            nothing_is_resident,
        ],
    )
}

fn start() -> Result<Host> {
    let host = Host::start()?;
    let lab = host.lab();
    lab.install(&host::notify_deb()?)?;
    let recorder = include_bytes!("../fixtures/recorder.py");
    lab.write("/usr/local/lib/recorder.py", recorder, 0o644, "root:root")?;
    lab.write(
        "/etc/pp-notify/config.toml",
        CONFIG.as_bytes(),
        0o640,
        "root:pp-notify",
    )?;
    let url = b"http://127.0.0.1:9999/team-T00-secret\n";
    lab.write("/etc/pp-notify/team.url", url, 0o640, "root:pp-notify")?;
    // A stand-in for the host's mail, that keeps what it is given; and a program that needs its group for what it does,
    // as postfix' postdrop does.
    let sendmail = "#!/bin/sh\n{ echo \"$@\"; cat; echo; } >>/var/lib/pp-notify/mails\n";
    lab.write(
        "/usr/sbin/sendmail",
        sendmail.as_bytes(),
        0o755,
        "root:root",
    )?;
    lab.sh(
        "install -o root -g mail -m 2755 /usr/bin/tee /usr/local/bin/setgid-tee
         install -o root -g mail -m 660 /dev/null /var/local/told
         install -o nobody -m 644 /dev/null /var/local/recorded
         systemd-run -q --unit recorder -p User=nobody python3 /usr/local/lib/recorder.py 9999 /var/local/recorded",
    )?;
    wait_until("the recorder listens", PATIENCE, || {
        Ok(lab.get(9999, "/up").ok().map(drop))
    })?;
    Ok(host)
}

/// What the recorder was sent at a path, by the types of events, in order.
fn recorded(host: &Host, path: &str) -> Result<Vec<Value>> {
    let text = host.lab().read("/var/local/recorded")?;
    let lines = text.lines().map(serde_json::from_str::<Value>);
    let all: Vec<Value> = lines.collect::<Result<_, _>>()?;
    Ok(all
        .into_iter()
        .filter(|line| line["path"] == path)
        .collect())
}

/// The kinds of events that the webhook was told of an app, each with its code.
fn told(host: &Host, app: &str) -> Result<Vec<String>> {
    let mut kinds = Vec::new();
    for line in recorded(host, "/hook")? {
        let body: Value = serde_json::from_str(line["body"].as_str().unwrap_or_default())?;
        if body["event"]["app"] == app {
            let kind = body["event"]["event"].as_str().context("a kind")?;
            let code = body["event"]["code"].as_str().unwrap_or("-");
            kinds.push(format!("{kind} {code}"));
        }
    }
    Ok(kinds)
}

fn is_told(host: &Host, app: &str, expected: &[&str]) -> Result<()> {
    wait_until(&format!("{app}: {expected:?}"), PATIENCE, || {
        let told = told(host, app)?;
        ensure!(told.len() >= expected.len(), "told is {told:?}");
        Ok(Some(()))
    })?;
    // What comes twice comes soon.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(told(host, app)?, expected);
    Ok(())
}

fn a_test_reaches_every_target_and_the_check_says_what_is_missing(host: &Host) -> Result<()> {
    let lab = host.lab();
    let said = lab.cmd(["pp-notify", "--check"]).output()?;
    assert_eq!(said.code, Some(0), "{said}");
    lab.sh("chmod 644 /etc/pp-notify/team.url")?;
    let said = lab.cmd(["pp-notify", "--check"]).output()?;
    assert_eq!(said.code, Some(1), "{said}");
    said.says(&[
        "FAIL  team",
        "everybody on this host may read it",
        "chmod 640 /etc/pp-notify/team.url",
    ]);
    lab.sh("chmod 640 /etc/pp-notify/team.url")?;
    let said = lab.cmd(["pp-notify", "test"]).output()?;
    assert_eq!(said.code, Some(0), "{said}");
    for path in ["/hook", "/team-T00-secret", "/beat"] {
        assert_eq!(recorded(host, path)?.len(), 1, "{path}");
    }
    assert!(lab.read("/var/lib/pp-notify/mails")?.contains("Subject: "));
    assert!(lab.read("/var/local/told")?.contains("\"type\":\"test\""));
    lab.sh(": >/var/local/recorded; : >/var/local/told; : >/var/lib/pp-notify/mails
         systemctl enable -q --now pp-notify.path pp-notify.timer; systemctl start pp-notify.service")?;
    Ok(())
}

fn each_change_is_told_once_to_each_target(host: &Host) -> Result<()> {
    let lab = host.lab();
    let app = host.perl("todo")?;
    app.deploy(Perl("v1"), "First")?;
    is_told(host, "todo", &["deployed -"])?;
    let broken =
        Tree::from(Perl("v2")).program("deploy.sh", "#!/bin/sh\necho '<!channel> `x`'\nexit 9\n");
    let hostile = "Second <script>alert(1)</script> \u{202e}";
    app.push(broken, hostile)?;
    app.poll_exits(1)?;
    for _ in 0..3 {
        app.poll()?;
    }
    is_told(host, "todo", &["deployed -", "failed build"])?;
    app.push(Perl("v3"), "Third")?;
    app.poll_exits(0)?;
    is_told(
        host,
        "todo",
        &["deployed -", "failed build", "recovered build"],
    )?;
    // Two polls without the forge are no news, twenty are one.
    lab.sh("systemctl stop forge.service")?;
    for _ in 0..20 {
        app.poll()?;
    }
    lab.sh("systemctl start forge.service")?;
    app.poll_exits(0)?;
    let mut all = vec![
        "deployed -",
        "failed build",
        "recovered build",
        "unreachable network",
        "reachable network",
    ];
    is_told(host, "todo", &all)?;
    host.forge().change_host_key(lab)?;
    app.poll()?;
    app.poll()?;
    host.forge().trust(lab)?;
    app.poll_exits(0)?;
    all.extend([
        "host-key-changed host-key-changed",
        "recovered host-key-changed",
    ]);
    is_told(host, "todo", &all)?;
    lab.cmd(["pp-fetcher", "freeze", "todo", "--reason", "inventory"])
        .ok()?;
    lab.cmd(["pp-fetcher", "thaw", "todo"]).ok()?;
    all.extend(["frozen -", "thawed thaw"]);
    is_told(host, "todo", &all)?;
    the_others_are_told_the_same(host, all.len())
}

/// What the other targets were told of so many events, each what it wants.
fn the_others_are_told_the_same(host: &Host, events: usize) -> Result<()> {
    let lab = host.lab();
    let count = |text: &str, part: &str| text.matches(part).count();
    assert_eq!(
        count(&lab.read("/var/local/told")?, "\"type\":\"event\""),
        events
    );
    let mails = lab.read("/var/lib/pp-notify/mails")?;
    assert_eq!(count(&mails, "Subject: "), events, "{mails}");
    assert!(
        mails.contains("-i -f pp-notify@") && mails.contains("-- ops@example.org"),
        "{mails}"
    );
    assert!(
        !mails.contains("<script>"),
        "a text of an event is in the body alone: {mails}"
    );
    let team = recorded(host, "/team-T00-secret")?;
    assert_eq!(team.len(), 3, "failed, recovered and recovered: {team:#?}");
    let text = team[0]["body"].as_str().context("a body")?;
    assert!(
        text.contains("&lt;script&gt;") && !text.contains("<!channel>"),
        "{text}"
    );
    let log = lab.cmd(["pp-notify", "log", "200"]).ok()?;
    assert_eq!(count(&log, "  told  "), events * 3 + 3, "{log}");
    assert!(!log.contains("team-T00-secret"), "{log}");
    Ok(())
}

fn no_app_reads_a_token_and_pp_notify_restarts_nothing(host: &Host) -> Result<()> {
    let lab = host.lab();
    let gunicorn = lab.as_user("gunicorn");
    let readable = gunicorn.sh(
        "find /etc/pp-notify /var/lib/pp-notify \\( -readable -o -writable -o -executable \\) 2>/dev/null || true
         cat /etc/pp-notify/team.url /etc/pp-notify/config.toml /var/lib/pp-notify/memory.json 2>/dev/null || true",
    )?;
    assert_eq!(readable, "");
    assert!(
        !lab.sh("id -nG gunicorn")?
            .split_whitespace()
            .any(|group| group == "pp-notify")
    );
    assert_eq!(lab.sh("id -nG pp-notify")?.trim(), "pp-notify");
    let notify = lab.as_user("pp-notify");
    let denied = notify.cmd(["pp-restart", "todo.service"]).output()?;
    assert_ne!(denied.code, Some(0), "{denied}");
    // Of the apps' state it reads the events alone, and writes none.
    let reached = notify.sh(
        "cat /var/lib/pp-fetcher/todo/state.json 2>/dev/null || true; ls /etc/pp-fetcher/keys 2>/dev/null || true
         find /var/lib/pp-outbox -writable; echo end",
    )?;
    assert_eq!(reached.trim(), "end");
    Ok(())
}

fn a_thousand_failures_are_ten_messages_at_most_and_stop_no_deploy(host: &Host) -> Result<()> {
    let lab = host.lab();
    let before = recorded(host, "/hook")?.len();
    // Whoever is the apps' user can write any event.
    lab.as_user("gunicorn").sh(
        r#"python3 - <<'END'
import json
with open("/var/lib/pp-outbox/events.jsonl", "a") as file:
    for n in range(1000):
        file.write(json.dumps({"schema": 1, "id": f"flood-{n}", "at": "2026-11-27T12:00:00Z", "host": "web1",
                               "app": f"flood{n % 50}", "event": "failed", "code": "build", "revision": f"{n:040x}"}) + "\n")
END"#,
    )?;
    wait_until("the flood is taken", PATIENCE, || {
        let log = lab.cmd(["pp-notify", "log"]).ok()?;
        Ok(log.contains("are held back for a digest").then_some(()))
    })?;
    let after = recorded(host, "/hook")?.len();
    assert!(
        after <= 10 && after >= before,
        "{before} before, {after} in this hour"
    );
    let app = host.perl("beside")?;
    app.deploy(Perl("v1"), "First")?;
    Ok(())
}

fn a_heartbeat_comes_while_polls_end_well(host: &Host) -> Result<()> {
    let lab = host.lab();
    let beats = || Ok::<_, anyhow::Error>(recorded(host, "/beat")?.len());
    lab.cmd(["pp-fetcher", "poll"]).within(PATIENCE).ok()?;
    let before = beats()?;
    wait_until("a beat", TWO_MINUTES, || {
        Ok((beats()? > before).then_some(()))
    })?;
    // Without another poll there is none.
    let silent = beats()?;
    lab.cmd(["systemctl", "start", "pp-notify.service"]).ok()?;
    assert_eq!(beats()?, silent);
    Ok(())
}

fn the_service_writes_the_page_and_the_metrics(host: &Host) -> Result<()> {
    let lab = host.lab();
    lab.sh(
        "printf '[report]\\nmetrics = \"/var/lib/pp-status/pp-fetcher.prom\"\\npage = \"/var/lib/pp-status\"\\n' \
             >>/etc/pp-fetcher/config.toml
         sed -i 's/^interval.*/interval = \"5s\"/' /etc/pp-fetcher/apps.d/todo.toml
         systemctl start pp-fetcher.service",
    )?;
    wait_until("the page is there", PATIENCE, || {
        Ok(lab.exists("/var/lib/pp-status/index.html")?.then_some(()))
    })?;
    lab.sh("systemctl stop pp-fetcher.service")?;
    assert_eq!(
        lab.stat("/var/lib/pp-status/index.html")?,
        "644 gunicorn hosted_apps"
    );
    let page = lab.read("/var/lib/pp-status/index.html")?;
    assert!(
        page.contains("<h2><bdi>todo</bdi>") && page.contains("Third"),
        "{page}"
    );
    assert!(
        page.contains("&lt;script&gt;") && !page.contains("<script"),
        "{page}"
    );
    let json: Value = serde_json::from_str(&lab.read("/var/lib/pp-status/status.json")?)?;
    assert_eq!(json["apps"].as_array().map(Vec::len), Some(2), "{json}");
    let metrics = lab.read("/var/lib/pp-status/pp-fetcher.prom")?;
    for line in [
        "pp_fetcher_app_well{app=\"todo\"} 1\n",
        "pp_fetcher_passes_total{app=\"todo\"} ",
        "pp_fetcher_failures_total{app=\"todo\",code=\"network\"} 20\n",
        "pp_fetcher_last_success_timestamp_seconds{app=\"todo\"} ",
        "pp_fetcher_live_info{app=\"todo\",revision=\"",
        "# TYPE pp_fetcher_attempts_total counter\n",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert_eq!(
        lab.stat("/var/lib/pp-status/pp-fetcher.prom")?,
        "644 gunicorn hosted_apps"
    );
    // The example of a site wants a password, and gives the page alone.
    lab.sh(
        "rm -f /etc/nginx/sites-enabled/*
         cp /usr/share/doc/pp-fetcher/examples/status_site/nginx/status.conf /etc/nginx/sites-enabled/status
         echo 'ada:{PLAIN}secret' >/etc/nginx/status.htpasswd
         nginx -t -q; systemctl restart nginx",
    )?;
    assert_eq!(lab.get(80, "/")?.status, 401);
    let with = |path: &str| {
        lab.sh(&format!(
            "curl -s -o /dev/null -w '%{{http_code}}' -u ada:secret http://127.0.0.1{path} || true"
        ))
    };
    let codes: Result<Vec<_>> = ["/", "/status.json", "/pp-fetcher.prom"]
        .map(with)
        .into_iter()
        .collect();
    assert_eq!(codes?, ["200", "200", "404"]);
    Ok(())
}

fn what_the_restarter_did_and_refused_is_counted(host: &Host) -> Result<()> {
    let lab = host.lab();
    let example = "/usr/share/doc/pp-fetcher/examples/monitoring";
    lab.sh(&format!(
        "install -m 755 {example}/restarter-metrics.sh /usr/local/lib/
         cp {example}/systemd/restarter-metrics.* /etc/systemd/system/; systemctl daemon-reload"
    ))?;
    let gunicorn = lab.as_user("gunicorn");
    for unit in ["ssh.service", "todo.service", "cron.service"] {
        gunicorn.cmd(["pp-restart", unit]).output()?;
    }
    lab.sh("journalctl --sync")?;
    let counted = || {
        lab.cmd(["systemctl", "start", "restarter-metrics.service"])
            .ok()?;
        lab.read("/var/lib/restarter-metrics/pp-restarter.prom")
    };
    let metrics = counted()?;
    let count = |metrics: &str, name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.rsplit(' ').next());
        value
            .and_then(|value| value.parse::<u64>().ok())
            .unwrap_or_default()
    };
    let denied = "pp_restarter_decisions_total{verdict=\"denied\"}";
    let done = "pp_restarter_jobs_total{unit=\"todo.service\",result=\"done\"}";
    assert!(count(&metrics, denied) >= 2, "{metrics}");
    assert!(count(&metrics, done) >= 3, "{metrics}");
    // Each record counts once.
    assert_eq!(counted()?, metrics);
    gunicorn.cmd(["pp-restart", "dbus.service"]).output()?;
    lab.sh("journalctl --sync")?;
    assert_eq!(count(&counted()?, denied), count(&metrics, denied) + 1);
    Ok(())
}

fn nothing_is_resident(host: &Host) -> Result<()> {
    let lab = host.lab();
    wait_until("the run has ended", PATIENCE, || {
        let state = lab.property("pp-notify.service", "ActiveState")?;
        Ok((state == "inactive").then_some(()))
    })?;
    assert_eq!(lab.sh("pgrep -u pp-notify || true")?, "");
    Ok(())
}
