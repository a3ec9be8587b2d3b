//! `pp-fetcher setup`: from two installed packages to an app that the service deploys, and back.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pp_tests::app::{Django, Perl};
use pp_tests::cases;
use pp_tests::forge::Tree;
use pp_tests::harness::{self, Needs};
use pp_tests::host::Host;
use pp_tests::lab::Output;
use pp_tests::wait::wait_until;

use again::{
    a_removal_of_data_that_was_cut_short_still_knows_where_the_data_is,
    a_site_that_nginx_refuses_leaves_the_one_before, an_interrupted_question_leaves_nothing,
    what_a_person_has_changed_is_left_alone,
};
use missing::what_is_missing_is_named_and_ends_well_once_it_is_there;

#[path = "setup/again.rs"]
mod again;
#[path = "setup/missing.rs"]
mod missing;

const SERVICE: &str = "pp-fetcher.service";

/// The longest time from the key's registration to the running app.
const PROMISED: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    harness::run(
        Needs::Packages,
        start,
        cases![
            a_dry_run_and_a_wrong_fingerprint_change_nothing,
            what_a_set_up_cannot_do_is_told_with_what_to_do,
            what_is_missing_is_named_and_ends_well_once_it_is_there,
            without_a_terminal_the_options_are_all_it_takes_and_the_registered_key_deploys,
            a_site_of_nginx_in_front_of_a_socket_is_served_and_taken_away_again,
            a_root_elsewhere_gets_the_drop_in_that_the_service_needs,
            a_user_of_its_own_gets_everything_of_its_own,
            on_a_terminal_it_asks_for_what_is_not_said,
            an_interrupted_question_leaves_nothing,
            what_a_person_has_changed_is_left_alone,
            a_site_that_nginx_refuses_leaves_the_one_before,
            a_removal_of_data_that_was_cut_short_still_knows_where_the_data_is,
        ],
    )
}

/// As after `apt install`: the service runs, and polls nothing.
fn start() -> Result<Host> {
    let host = Host::start()?;
    host.lab()
        .sh("systemctl enable --now --quiet pp-fetcher.service; systemctl stop nginx.service; rm -f /etc/pp-fetcher/known_hosts")?;
    Ok(host)
}

/// Makes a repository that no key may read yet, with one commit.
fn repository(host: &Host, app: &str, tree: impl Into<Tree>) -> Result<String> {
    let url = host.forge().empty_repository(host.lab(), app)?;
    host.forge().push(host.lab(), app, &tree.into(), "First")?;
    Ok(url)
}

fn fingerprint(host: &Host) -> Result<String> {
    host.forge().fingerprint(host.lab())
}

fn setup(host: &Host, arguments: &[&str]) -> Result<Output> {
    host.lab()
        .cmd(["pp-fetcher", "setup"])
        .args(arguments.iter().copied())
        .within(Duration::from_secs(60))
        .output()
}

/// Does at the forge what a person does: registers the key that the set-up has printed.
fn register(host: &Host, app: &str, said: &Output) -> Result<()> {
    let key = said
        .stdout
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("ssh-ed25519 "))
        .with_context(|| format!("no key is printed: {said}"))?;
    host.forge().register(host.lab(), app, key)
}

/// All that a set-up could change.
fn everything(host: &Host) -> Result<String> {
    // What other cases have made goes on changing.
    host.lab().sh(
        "cd /; dirs='etc/pp-fetcher etc/pp-restarter etc/systemd/system etc/nginx var/www www srv'
         find $dirs -path '*/todo/*' -prune -o -path srv/git -prune -o -printf '%y %m %u %g %p %l\\n' | sort
         find $dirs -path '*/todo/*' -prune -o -path srv/git -prune -o -type f -print | sort | xargs sha256sum",
    )
}

fn a_dry_run_and_a_wrong_fingerprint_change_nothing(host: &Host) -> Result<()> {
    let address = repository(host, "nothing", Django::version("v1"))?;
    let before = everything(host)?;
    let words = [
        "nothing",
        "--repository",
        &address,
        "--gunicorn",
        "todo.wsgi",
        "--root",
        "/srv/nothing",
    ];
    let said = setup(host, &[&words[..], &["--dry-run"]].concat())?;
    assert_eq!(said.code, Some(0), "{said}");
    said.says(&[
        "file /etc/pp-fetcher/apps.d/nothing.toml:",
        "root = \"/srv/nothing\"",
        "file /etc/pp-restarter/policy.d/nothing.toml:",
        "ReadWritePaths=-/srv/nothing",
        "file /etc/systemd/system/gunicorn.nothing.socket:",
        "nothing was changed (--dry-run)",
    ]);
    // Nobody has compared the key.
    let said = setup(host, &words)?;
    assert_eq!(said.code, Some(2), "{said}");
    let real = fingerprint(host)?;
    assert!(said.stderr.contains(&real), "{said}");
    assert!(
        said.stderr.contains("--host-key-fingerprint SHA256:"),
        "{said}"
    );
    let wrong = format!("SHA256:{}", "x".repeat(43));
    let said = setup(
        host,
        &[&words[..], &["--host-key-fingerprint", &wrong]].concat(),
    )?;
    assert_eq!(said.code, Some(1), "{said}");
    assert!(said.stderr.contains(&real), "{said}");
    assert_eq!(everything(host)?, before);
    Ok(())
}

fn what_a_set_up_cannot_do_is_told_with_what_to_do(host: &Host) -> Result<()> {
    let lab = host.lab();
    let said = lab
        .as_user("gunicorn")
        .cmd(["pp-fetcher", "setup", "x", "--repository", "/srv/x"])
        .output()?;
    assert_eq!(said.code, Some(2), "{said}");
    assert!(said.stderr.contains("sudo pp-fetcher setup x"), "{said}");
    let person = "# a person's own\n";
    lab.write(
        "/etc/pp-fetcher/apps.d/theirs.toml",
        person.as_bytes(),
        0o644,
        "root:root",
    )?;
    let said = setup(host, &["theirs", "--repository", "/srv/x"])?;
    assert_eq!(said.code, Some(2), "{said}");
    let line = said
        .stderr
        .lines()
        .find_map(|line| line.split_once("move it away: "))
        .with_context(|| format!("{said}"))?
        .1
        .to_owned();
    assert_eq!(
        lab.read("/etc/pp-fetcher/apps.d/theirs.toml")?,
        person.trim_end()
    );
    lab.sh(&line)?;
    let said = setup(host, &["theirs", "--repository", "/srv/x", "--dry-run"])?;
    assert_eq!(said.code, Some(0), "{said}");
    lab.sh("rm /etc/pp-fetcher/apps.d/theirs.toml*")?;
    // Two apps that share a root would fight: told before anything is written.
    let first = [
        "one",
        "--repository",
        "/srv/x",
        "--root",
        "/var/www/projects/shared",
    ];
    let said = setup(host, &first)?;
    assert_eq!(said.code, Some(0), "{said}");
    let said = setup(host, &[&["two"], &first[1..]].concat())?;
    assert_eq!(said.code, Some(2), "{said}");
    assert!(said.stderr.contains("/var/www/projects/shared"), "{said}");
    assert!(!lab.exists("/etc/pp-fetcher/apps.d/two.toml")?);
    let said = setup(host, &["one", "--remove", "--data"])?;
    assert_eq!(said.code, Some(0), "{said}");
    assert!(!lab.exists("/var/www/projects/shared")?);
    let said = setup(host, &["one", "--remove"])?;
    assert_eq!(said.code, Some(2), "{said}");
    Ok(())
}

fn without_a_terminal_the_options_are_all_it_takes_and_the_registered_key_deploys(
    host: &Host,
) -> Result<()> {
    let lab = host.lab();
    let address = repository(host, "todo", Django::version("v1"))?;
    let fingerprint = fingerprint(host)?;
    let words = [
        "todo",
        "--repository",
        &address,
        "--unit",
        "gunicorn.todo.service",
        "--gunicorn",
        "todo.wsgi",
        "--port",
        "8000",
        "--build",
        "deploy.sh",
        "--shared",
        "db.sqlite3",
        "--health-host",
        "todo.example.org",
        "--host-key-fingerprint",
        &fingerprint,
    ];
    let said = setup(host, &words)?;
    assert_eq!(said.code, Some(0), "{said}");
    said.says(&[
        "Left to do:",
        "1. register this deploy key",
        "within two minutes",
    ]);
    assert_eq!(
        lab.stat("/etc/pp-fetcher/keys/todo")?,
        "600 gunicorn hosted_apps"
    );
    assert_eq!(
        lab.stat("/var/www/projects/todo")?,
        "2775 gunicorn hosted_apps"
    );
    // As a person does: some polls fail before the key is at the forge.
    wait_until("a poll was refused", Duration::from_secs(30), || {
        let seen = lab.journal(&["-u", SERVICE, "-g", "todo"])?;
        ensure!(seen.contains("refused") || seen.contains("key"), "{seen}");
        Ok(Some(()))
    })?;
    register(host, "todo", &said)?;
    let registered = Instant::now();
    lab.serves(8000, "todo v1", PROMISED)?;
    println!(
        "served {:.0} s after the key's registration",
        registered.elapsed().as_secs_f64()
    );
    let doctor = wait_for_doctor(host, "todo")?;
    assert!(!doctor.stdout.contains("FAULT"), "{doctor}");
    // Again: all of it is there.
    let again = setup(host, &words)?;
    assert_eq!(again.code, Some(0), "{again}");
    again.says(&["file /etc/pp-fetcher/apps.d/todo.toml is as it is to be"]);
    Ok(())
}

/// The doctor's verdict once the first deploy has ended: the app is served before that is written down.
fn wait_for_doctor(host: &Host, app: &str) -> Result<Output> {
    wait_until("no link is broken", Duration::from_secs(40), || {
        let said = host
            .lab()
            .cmd(["pp-fetcher", "doctor", app])
            .within(Duration::from_secs(60))
            .output()?;
        ensure!(said.code == Some(0), "{said}");
        Ok(Some(said))
    })
}

fn a_site_of_nginx_in_front_of_a_socket_is_served_and_taken_away_again(host: &Host) -> Result<()> {
    let lab = host.lab();
    lab.sh("systemctl start nginx.service")?;
    let before = everything(host)?;
    let address = repository(host, "shop", Django::version("v1"))?;
    let fingerprint = fingerprint(host)?;
    let said = setup(
        host,
        &[
            "shop",
            "--repository",
            &address,
            "--gunicorn",
            "todo.wsgi",
            "--build",
            "deploy.sh",
            "--shared",
            "db.sqlite3",
            "--nginx",
            "shop.example.org",
            "--host-key-fingerprint",
            &fingerprint,
        ],
    )?;
    assert_eq!(said.code, Some(0), "{said}");
    register(host, "shop", &said)?;
    let curl = |path: &str| {
        lab.sh(&format!(
            "curl -s --max-time 5 -H 'Host: shop.example.org' http://127.0.0.1{path}"
        ))
    };
    wait_until("nginx serves it", PROMISED, || {
        let got = curl("/")?;
        ensure!(got.starts_with("todo v1"), "it serves {got}");
        Ok(Some(()))
    })?;
    assert!(curl("/static/todo/style.css")?.contains("v1"));
    let doctor = wait_for_doctor(host, "shop")?;
    assert!(!doctor.stdout.contains("FAULT"), "{doctor}");
    let said = setup(host, &["shop", "--remove"])?;
    assert_eq!(said.code, Some(0), "{said}");
    said.says(&[
        "Removed. Remove the deploy key at the forge as well.",
        "/var/www/projects/shop",
    ]);
    assert!(lab.exists("/var/www/projects/shop/shared/db.sqlite3")?);
    assert_eq!(
        lab.sh("systemctl is-active gunicorn.shop.service || true")?,
        "inactive"
    );
    let said = setup(host, &["shop", "--remove", "--data"])?;
    assert_eq!(said.code, Some(0), "{said}");
    // Without its file nobody knows where the data of an app was.
    lab.sh("rm -rf /var/www/projects/shop /www/static/shop")?;
    assert_eq!(everything(host)?, before);
    Ok(())
}

fn local(host: &Host, name: &str, tree: impl Into<Tree>) -> Result<String> {
    repository(host, name, tree)?;
    host.forge().open_locally(host.lab(), name)
}

fn a_root_elsewhere_gets_the_drop_in_that_the_service_needs(host: &Host) -> Result<()> {
    let lab = host.lab();
    let address = local(host, "far", Django::version("v1"))?;
    let said = setup(
        host,
        &[
            "far",
            "--repository",
            &address,
            "--gunicorn",
            "todo.wsgi",
            "--port",
            "8010",
            "--build",
            "deploy.sh",
            "--shared",
            "db.sqlite3",
            "--root",
            "/srv/far",
            "--static-root",
            "/srv/far-static",
            "--health-host",
            "todo.example.org",
        ],
    )?;
    assert_eq!(said.code, Some(0), "{said}");
    assert!(!said.stdout.contains("deploy key"), "{said}");
    lab.serves(8010, "todo v1", PROMISED)?;
    assert_eq!(lab.stat("/srv/far")?, "2775 gunicorn hosted_apps");
    let doctor = wait_for_doctor(host, "far")?;
    assert!(!doctor.stdout.contains("FAULT"), "{doctor}");
    let said = setup(host, &["far", "--remove", "--data"])?;
    assert_eq!(said.code, Some(0), "{said}");
    assert!(!lab.exists("/srv/far")? && !lab.exists("/srv/far-static")?);
    Ok(())
}

fn a_user_of_its_own_gets_everything_of_its_own(host: &Host) -> Result<()> {
    let lab = host.lab();
    let address = local(host, "hers", Perl("v1"))?;
    let words = [
        "hers",
        "--user",
        "ada",
        "--repository",
        &address,
        "--unit",
        "ada-hers.service",
        "--port",
        "8020",
    ];
    let said = setup(host, &words)?;
    assert_eq!(said.code, Some(2), "{said}");
    assert!(said.stderr.contains("there is no user ada"), "{said}");
    lab.sh(
        "adduser --quiet --system --group --home /var/lib/ada ada; adduser --quiet ada pp-callers",
    )?;
    host.open_restarter_to_callers()?;
    let unit = "[Service]\nUser=ada\nEnvironment=PORT=8020\nWorkingDirectory=/srv/apps/ada/hers/current\nExecStart=/usr/bin/perl server.pl\n";
    lab.write(
        "/etc/systemd/system/ada-hers.service",
        unit.as_bytes(),
        0o644,
        "root:root",
    )?;
    lab.sh("systemctl daemon-reload")?;
    let said = setup(host, &words)?;
    assert_eq!(said.code, Some(0), "{said}");
    said.says(&["The service polls hers already"]);
    lab.serves(8020, "hello v1", PROMISED)?;
    assert_eq!(lab.stat("/srv/apps/ada/hers")?, "2770 ada ada");
    let said = setup(host, &["hers", "--user", "ada", "--remove", "--data"])?;
    assert_eq!(said.code, Some(0), "{said}");
    assert!(!lab.exists("/srv/apps/ada/hers")?);
    lab.sh("systemctl disable --now --quiet pp-fetcher@ada; rm -r /etc/systemd/system/pp-restarter.socket.d; systemctl daemon-reload; systemctl restart pp-restarter.socket")?;
    Ok(())
}

fn on_a_terminal_it_asks_for_what_is_not_said(host: &Host) -> Result<()> {
    let lab = host.lab();
    let address = repository(host, "typed", Django::version("v1"))?;
    // Repository, branch, script, shared, unit, WSGI, host; go on; the fingerprint is pinned already.
    let typed = format!("{address}\n\ndeploy.sh\ndb.sqlite3\n\ntodo.wsgi\ntodo.example.org\ny\n");
    let said = lab
        .cmd(["script", "-qec", "pp-fetcher setup typed", "/dev/null"])
        .stdin(typed)
        .within(Duration::from_secs(60))
        .output()?;
    assert_eq!(said.code, Some(0), "{said}");
    said.says(&["Git repository", "Make all of this? [y/N]", "Left to do:"]);
    let file = lab.read("/etc/pp-fetcher/apps.d/typed.toml")?;
    assert!(file.contains("shared = [\"db.sqlite3\"]"), "{file}");
    assert!(file.contains("host = \"todo.example.org\""), "{file}");
    let said = setup(host, &["typed", "--remove", "--data"])?;
    assert_eq!(said.code, Some(0), "{said}");
    Ok(())
}
