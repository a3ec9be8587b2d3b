//! `pp-fetcher adopt`: a host that was built the old way, with a checkout in place, a poller in cron and a sudo rule,
//! goes over to releases while it is written to, and back.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pp_tests::cases;
use pp_tests::harness::{self, Needs};
use pp_tests::host::Host;
use pp_tests::lab::Output;
use pp_tests::load::writers::{Writers, Written};
use pp_tests::old_way::OldWay;
use pp_tests::wait::wait_until;

use unusual::{
    a_user_of_its_own_is_polled_from_then_on_and_named_in_the_way_back,
    what_is_not_as_the_book_has_it_is_asked_and_ends_well,
};

#[path = "adopt/unusual.rs"]
mod unusual;

const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    harness::run(
        Needs::Packages,
        start,
        cases![
            what_is_ambiguous_is_named_and_nothing_is_changed,
            what_the_live_app_answers_decides_the_probe_and_each_advice_ends_well,
            an_adoption_that_fails_leaves_the_app_as_it_was,
            under_load_an_adoption_costs_the_requests_of_one_restart_and_no_row,
            behind_a_socket_an_adoption_costs_no_request,
            what_is_not_as_the_book_has_it_is_asked_and_ends_well,
            a_user_of_its_own_is_polled_from_then_on_and_named_in_the_way_back,
            an_adoption_is_undone_with_the_data_of_meanwhile,
        ],
    )
}

fn start() -> Result<Host> {
    let host = Host::start()?;
    host.lab()
        .sh("systemctl enable --now --quiet pp-fetcher.service; systemctl stop cron.service")?;
    Ok(host)
}

/// A host as `old-way.md` has it: the key and ssh's configuration are the agent's, cron runs the poller.
fn old_way<'h>(host: &'h Host, name: &str, port: u16) -> Result<OldWay<'h>> {
    host.lab().sh("trusted=/var/lib/gunicorn/.ssh/known_hosts
         [ ! -e $trusted ] || install -m 644 $trusted /etc/pp-fetcher/known_hosts")?;
    let old = OldWay::set_up(host.lab(), host.forge(), name, port)?;
    old.as_on_their_servers()?;
    host.lab().sh(&format!("systemctl start {}", old.unit()))?;
    host.lab().serves(port, "todo v0", PATIENCE)?;
    Ok(old)
}

fn adopt(host: &Host, arguments: &[&str]) -> Result<Output> {
    host.lab()
        .cmd(["pp-fetcher", "adopt"])
        .args(arguments.iter().copied())
        .within(Duration::from_secs(120))
        .output()
}

fn directory(name: &str) -> String {
    format!("/var/www/projects/{name}")
}

/// All that an adoption could change, but for the data and what runs write.
fn everything(host: &Host, name: &str) -> Result<String> {
    host.lab().sh(&format!(
        "cd /; dirs='etc/pp-fetcher etc/pp-restarter etc/systemd/system etc/crontab etc/ssh-agent-service {0}'
         skip='-name .git -prune -o -name __pycache__ -prune -o -name db.sqlite3* -prune -o -name media -prune -o'
         set -f
         find $dirs $skip -printf '%y %m %u %g %p %l\\n' | sort
         find $dirs $skip -type f -print | sort | xargs sha256sum",
        directory(name).trim_start_matches('/')
    ))
}

fn rows(host: &Host, name: &str) -> Result<BTreeSet<String>> {
    let database =
        ["current/db.sqlite3", "db.sqlite3"].map(|file| format!("{}/{file}", directory(name)));
    let script = format!(
        "import os, sqlite3, sys
path = next(p for p in {database:?} if os.path.exists(p))
print('\\n'.join(t for (t,) in sqlite3.connect(path).execute('select text from todo_item')))"
    );
    let said = host
        .lab()
        .as_user("gunicorn")
        .cmd(["python3", "-c", &script])
        .ok()?;
    Ok(said.lines().map(str::to_owned).collect())
}

fn nothing_was_lost(host: &Host, name: &str, written: &Written) -> Result<()> {
    assert!(written.rows.len() > 50, "there was a load: {written}");
    let rows = rows(host, name)?;
    let lost: Vec<_> = written.rows.difference(&rows).collect();
    assert!(lost.is_empty(), "{} rows are lost: {lost:?}", lost.len());
    let photos = format!("{}/media/photos", directory(name));
    let files: BTreeSet<_> = host.lab().list(&photos)?.into_iter().collect();
    assert!(written.files.is_subset(&files), "files are lost");
    Ok(())
}

fn under_load(
    host: &Host,
    port: u16,
    run: &str,
    work: impl FnOnce() -> Result<()>,
) -> Result<Written> {
    let writers = Writers::start(host.lab(), port, run)?;
    sleep(Duration::from_secs(2));
    let done = work();
    sleep(Duration::from_secs(1));
    let written = writers.stop()?;
    done?;
    Ok(written)
}

fn what_is_ambiguous_is_named_and_nothing_is_changed(host: &Host) -> Result<()> {
    let name = "ambiguous";
    let old = old_way(host, name, 8101)?;
    let dir = directory(name);
    host.lab().as_user("gunicorn").sh(&format!(
        "cd {dir}; echo x >notes.txt; mkdir -p export; echo x >export/a; echo '# changed' >>todo/urls.py"
    ))?;
    let crontab = format!("* * * * * cd {dir} && git pull\\n");
    host.lab()
        .sh(&format!("printf '{crontab}' | crontab -u gunicorn -"))?;
    let before = everything(host, name)?;
    let said = adopt(host, &[name, "--from", &dir])?;
    assert_eq!(said.code, Some(2), "{said}");
    host.lab().sh("crontab -r -u gunicorn")?;
    for part in [
        "gunicorn's own crontab updates the checkout",
        "nothing was changed",
        "is notes.txt data? --shared notes.txt",
        "--leave notes.txt",
        "is export/ data?",
        "is todo/urls.py data?",
    ] {
        assert!(said.stderr.contains(part), "{part}: {said}");
    }
    assert_eq!(everything(host, name)?, before);
    let words = [
        name,
        "--from",
        &dir,
        "--leave",
        "notes.txt",
        "--shared",
        "export",
        "--leave",
        "todo/urls.py",
        "--dry-run",
    ];
    let said = adopt(host, &words)?;
    assert_eq!(said.code, Some(0), "{said}");
    said.says(&[
        "data         export/, db.sqlite3",
        &format!("units        {}", old.unit()),
        "answers at   http://127.0.0.1:8101/",
        "build        deploy.sh, its sudo left out",
        "/etc/ssh-agent-service/deploy-keys/ambiguous, copied to /etc/pp-fetcher/keys/ambiguous",
        "nothing was changed (--dry-run)",
    ]);
    assert_eq!(everything(host, name)?, before);
    let said = host
        .lab()
        .as_user("gunicorn")
        .cmd(["pp-fetcher", "adopt", name, "--from", &dir])
        .output()?;
    assert_eq!(said.code, Some(2), "{said}");
    assert!(said.stderr.contains("sudo pp-fetcher adopt"), "{said}");
    let said = adopt(host, &["x", "--from", "/srv"])?;
    assert!(said.stderr.contains("/srv is no checkout of git"), "{said}");
    Ok(())
}

fn what_the_live_app_answers_decides_the_probe_and_each_advice_ends_well(
    host: &Host,
) -> Result<()> {
    let lab = host.lab();
    let name = "answering";
    let old = old_way(host, name, 8106)?;
    let dir = directory(name);
    lab.as_user("gunicorn").sh(&format!(
        "cd {dir}; sed -i 's/^ALLOWED_HOSTS = .*/ALLOWED_HOSTS = [\"localhost\", \"127.0.0.1\"]/
             s/^MIDDLEWARE = .*/MIDDLEWARE = [\"django.middleware.common.CommonMiddleware\"]/' todo/settings.py
         git -c user.name=A -c user.email=a@b commit -qam 'Only these hosts'"
    ))?;
    lab.sh(&format!("systemctl restart {}", old.unit()))?;
    host.lab().serves(8106, "todo v0", PATIENCE)?;
    let with = |more: &[&str]| adopt(host, &[&[name, "--from", &dir, "--dry-run"], more].concat());
    for (more, said) in [
        (
            ["--health-host", "another.example"],
            "say one of its ALLOWED_HOSTS: --health-host",
        ),
        (
            ["--health-url", "http://127.0.0.1:8106/nowhere"],
            "say a page that answers 200: --health-url",
        ),
        (
            ["--health-url", "http://127.0.0.1:1/"],
            "say where it does: --health-url URL",
        ),
    ] {
        let refused = with(&more)?;
        assert_eq!(refused.code, Some(2), "{refused}");
        assert!(refused.stderr.contains(said), "{said}: {refused}");
    }
    let url = ["--health-url", "http://127.0.0.1:8106/healthz"];
    let done = with(&url)?;
    assert_eq!(done.code, Some(0), "{done}");
    let file = format!("/etc/pp-fetcher/apps.d/{name}.toml");
    lab.write(&file, b"# a person's\n", 0o644, "root:root")?;
    let refused = with(&url)?;
    assert_eq!(refused.code, Some(2), "{refused}");
    let line = refused
        .stderr
        .split_once("move it away: ")
        .context("advice")?
        .1;
    lab.sh(line)?;
    let done = with(&url)?;
    assert_eq!(done.code, Some(0), "{done}");
    lab.sh(&format!("rm {file}.old"))?;
    // What the way back would remove is not taken from somebody else.
    lab.sh(&format!("mkdir {dir}/releases"))?;
    let refused = with(&url)?;
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(
        refused
            .stderr
            .contains("move it away, or take another name"),
        "{refused}"
    );
    lab.sh(&format!("mv {dir}/releases /tmp/"))?;
    assert_eq!(with(&url)?.code, Some(0));
    Ok(())
}

fn an_adoption_that_fails_leaves_the_app_as_it_was(host: &Host) -> Result<()> {
    let name = "failing";
    let old = old_way(host, name, 8102)?;
    let dir = directory(name);
    // The build needs what is only in the checkout.
    host.lab()
        .as_user("gunicorn")
        .sh(&format!("cd {dir}; mkdir venv; touch venv/pyvenv.cfg"))?;
    old.push_needing("v1", "venv/pyvenv.cfg")?;
    old.poll().ok()?;
    host.lab().serves(8102, "todo v1", PATIENCE)?;
    let before = everything(host, name)?;
    let written = under_load(host, 8102, "f", || {
        let said = adopt(host, &[name, "--from", &dir])?;
        assert_eq!(said.code, Some(1), "{said}");
        assert!(
            said.stderr
                .contains("the app is as it was, in its checkout"),
            "{said}"
        );
        Ok(())
    })?;
    assert_eq!(written.tally.failed(), 0, "it was never touched: {written}");
    assert_eq!(everything(host, name)?, before);
    nothing_was_lost(host, name, &written)
}

/// What one restart of the unit costs under the same load.
fn one_restart(host: &Host, old: &OldWay<'_>) -> Result<Written> {
    under_load(host, old.port(), "r", || {
        host.lab()
            .sh(&format!("systemctl restart {}", old.unit()))?;
        Ok(())
    })
}

fn under_load_an_adoption_costs_the_requests_of_one_restart_and_no_row(host: &Host) -> Result<()> {
    let lab = host.lab();
    let name = "loaded";
    let old = old_way(host, name, 8103)?;
    let dir = directory(name);
    let live = lab
        .as_user("gunicorn")
        .sh(&format!("git -C {dir} rev-parse HEAD"))?;
    let restart = one_restart(host, &old)?;
    let written = under_load(host, 8103, "a", || {
        let said = adopt(host, &[name, "--from", &dir])?;
        assert_eq!(said.code, Some(0), "{said}");
        said.says(&[
            &format!("runs from {dir}/current now"),
            "Take the restart out of deploy.sh",
            &format!("pp-fetcher adopt {name} --undo"),
        ]);
        Ok(())
    })?;
    println!("a restart: {restart}\nan adoption: {written}");
    nothing_was_lost(host, name, &written)?;
    assert_eq!(
        lab.read(&format!("{dir}/current/REVISION"))?.trim(),
        live.trim()
    );
    assert!(
        lab.readlink(&format!("{dir}/db.sqlite3"))?
            .ends_with("shared/db.sqlite3")
    );
    assert_eq!(
        lab.stat(&format!("{dir}/shared/db.sqlite3"))?
            .split(' ')
            .nth(1),
        Some("gunicorn")
    );
    // The poller is off, whatever cron does, and the rest of the table is as it was.
    let crontab = lab.read("/etc/crontab")?;
    assert!(
        crontab.contains(&format!("#switched off by pp-fetcher adopt {name}: ")),
        "{crontab}"
    );
    pushes_and_cleaning_up(host, &old, name, &written)
}

fn pushes_and_cleaning_up(
    host: &Host,
    old: &OldWay<'_>,
    name: &str,
    written: &Written,
) -> Result<()> {
    let (lab, dir) = (host.lab(), directory(name));
    // From now on a push is deployed by the service, with the database as it is.
    old.push("v2")?;
    lab.sh("systemctl restart pp-fetcher")?;
    host.lab().serves(8103, "todo v2", PATIENCE)?;
    wait_until("the deploy is good", PATIENCE, || {
        let said = lab.cmd(["pp-fetcher", "history", name]).output()?;
        ensure!(said.stdout.matches("good").count() == 2, "{said}");
        Ok(Some(()))
    })?;
    nothing_was_lost(host, name, written)?;
    // What may be deleted now, is named by a command that does it and leaves the app alone.
    let said = lab
        .cmd(["pp-fetcher", "doctor", name])
        .within(PATIENCE)
        .output()?;
    said.says(&[
        "sudo still lets this user restart units",
        "is still a checkout of git",
    ]);
    let line = format!(
        "find {dir} -mindepth 1 -maxdepth 1 ! -name releases ! -name shared ! -name current -exec rm -r {{}} +"
    );
    lab.sh(&line)?;
    old.push("v3")?;
    lab.sh("systemctl restart pp-fetcher")?;
    host.lab().serves(8103, "todo v3", PATIENCE)?;
    assert!(rows(host, name)?.is_superset(&written.rows));
    let said = adopt(host, &[name, "--undo"])?;
    assert_eq!(said.code, Some(2), "{said}");
    let line = said.stderr.split_once("may go, too: ").context("advice")?.1;
    lab.sh(line)?;
    let said = adopt(host, &[name, "--undo"])?;
    assert!(said.stderr.contains("was not adopted"), "{said}");
    Ok(())
}

fn behind_a_socket_an_adoption_costs_no_request(host: &Host) -> Result<()> {
    let name = "socketed";
    let old = old_way(host, name, 8104)?;
    old.behind_a_socket()?;
    host.lab().serves(8104, "todo v0", PATIENCE)?;
    let written = under_load(host, 8104, "s", || {
        let said = adopt(host, &[name, "--from", &directory(name)])?;
        assert_eq!(said.code, Some(0), "{said}");
        Ok(())
    })?;
    println!("behind a socket: {written}");
    assert_eq!(written.tally.failed(), 0, "{written}");
    nothing_was_lost(host, name, &written)
}

fn an_adoption_is_undone_with_the_data_of_meanwhile(host: &Host) -> Result<()> {
    let lab = host.lab();
    let name = "undone";
    let old = old_way(host, name, 8105)?;
    let dir = directory(name);
    let before = everything(host, name)?;
    let written = under_load(host, 8105, "u", || {
        let said = adopt(host, &[name, "--from", &dir])?;
        assert_eq!(said.code, Some(0), "{said}");
        let again = adopt(host, &[name, "--from", &dir])?;
        assert_eq!(again.code, Some(2), "{again}");
        sleep(Duration::from_secs(1));
        let said = adopt(host, &[name, "--undo"])?;
        assert_eq!(said.code, Some(0), "{said}");
        Ok(())
    })?;
    host.lab().serves(8105, "todo v0", PATIENCE)?;
    nothing_was_lost(host, name, &written)?;
    assert!(!lab.exists(&format!("{dir}/current"))? && !lab.exists(&format!("{dir}/shared"))?);
    let kind = lab.sh(&format!("stat -c %F {dir}/db.sqlite3"))?;
    assert_eq!(kind.trim(), "regular file");
    assert_eq!(everything(host, name)?, before);
    // The poller works as before.
    old.push("v1")?;
    let line = lab.read("/etc/crontab")?;
    let line = line
        .lines()
        .find(|line| line.contains(name))
        .context("no job")?;
    assert!(!line.starts_with('#'), "{line}");
    old.poll().ok()?;
    host.lab().serves(8105, "todo v1", PATIENCE)?;
    let said = adopt(host, &[name, "--undo"])?;
    assert_eq!(said.code, Some(2), "{said}");
    Ok(())
}
