//! Many deploys under load: nobody is turned away, and nothing that was acknowledged is lost.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use pp_tests::app::{App, Django};
use pp_tests::cases;
use pp_tests::harness::{self, Needs};
use pp_tests::host::Host;
use pp_tests::load::writers::{Writers, Written};
use pp_tests::wait::wait_until;

/// Deploys under load; some bring a migration of the table that is written to.
const DEPLOYS: u32 = 20;
const MIGRATIONS: [u32; 5] = [3, 8, 9, 13, 18];

/// After these somebody goes back one release: 9 has a migration, which the release before it then
/// has to live with.
const ROLLBACKS: [u32; 3] = [5, 9, 16];

/// After this one comes a push that crashes, and is taken back.
const BAD: u32 = 11;

/// The most that the restarter's policy allows to allow: systemd lets a unit start five times in ten
/// seconds, and then no more.
const LIMIT: &str = "burst = 1, every = \"3s\"";

/// A crashing app is started once more by systemd itself: that one has to fit as well.
const BREATH: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    harness::run(
        Needs::Packages,
        Host::start,
        cases![
            twenty_deploys_and_three_rollbacks_lose_no_request_and_no_row,
            what_was_deployed_and_what_the_app_wrote_is_the_groups_to_change,
            with_a_write_ahead_log_no_request_and_no_row_is_lost_either,
        ],
    )
}

/// Whose deploys the first case makes, and the second looks at.
const NAME: &str = "busy";

/// An app behind a socket that may be restarted as often as any.
fn app<'h>(host: &'h Host, name: &str) -> Result<App<'h>> {
    let app = host.django_behind_socket(name)?;
    app.allow(LIMIT)?;
    // The build script is to make it.
    let database = format!("{}/shared/db.sqlite3", app.dir());
    host.lab().cmd(["rm", &database]).ok()?;
    Ok(app)
}

/// Version `number`, with the migrations up to it.
fn version(number: u32) -> Django {
    let migrations = MIGRATIONS.iter().filter(|at| **at <= number).count();
    Django::version(&format!("v{number}")).migrations(u32::try_from(migrations).unwrap())
}

/// Goes back a release, shows that what was left is held back, and says what serves now.
fn roll_back(host: &Host, app: &App<'_>, from: u32) -> Result<()> {
    let left = app.current_revision()?;
    let gunicorn = host.lab().as_user("gunicorn");
    gunicorn.cmd(["pp-fetcher", "rollback", app.name()]).ok()?;
    app.serves(&format!("todo v{},", from - 1))?;
    let attempts = app.history()?.len();
    app.poll_exits(0)?;
    assert_eq!(app.history()?.len(), attempts, "what was left is held back");
    let quarantined = app.status()?.quarantined;
    assert!(
        quarantined.iter().any(|q| q.revision == left),
        "{quarantined:?}"
    );
    Ok(())
}

fn deploys(host: &Host, app: &App<'_>, last: u32) -> Result<()> {
    for number in 1..=last {
        app.deploy(version(number), &format!("Version {number}"))?;
        app.serves(&format!("todo v{number},"))?;
        if ROLLBACKS.contains(&number) {
            roll_back(host, app, number)?;
        }
        if number == BAD {
            std::thread::sleep(BREATH);
            app.push(version(number).crashing_at_import(), "Bad")?;
            app.poll_exits(1)?;
            assert_eq!(app.last()?.outcome, "rolled-back");
            app.serves(&format!("todo v{number},"))?;
            std::thread::sleep(BREATH);
        }
    }
    Ok(())
}

fn twenty_deploys_and_three_rollbacks_lose_no_request_and_no_row(host: &Host) -> Result<()> {
    let app = app(host, NAME)?;
    app.deploy(version(0), "Version 0")?;
    app.serves("todo v0,")?;
    let start = Instant::now();
    let writers = Writers::start(host.lab(), app.port(), "a")?;
    let deployed = deploys(host, &app, DEPLOYS);
    let written = writers.stop()?;
    println!("{}: {written}; in {:?}", app.name(), start.elapsed());
    deployed?;

    nothing_was_lost(host, &app, &written)?;
    let versions = (0..=DEPLOYS).map(|n| format!("todo v{n}"));
    assert_eq!(written.versions, versions.collect(), "each was served");
    let outcomes: Vec<_> = app.history()?.into_iter().map(|a| a.outcome).collect();
    let good = outcomes.iter().filter(|o| *o == "good").count();
    assert_eq!((good, outcomes.len()), (24, 25), "{outcomes:?}");
    Ok(())
}

/// No request failed, and the database and the media hold what was acknowledged, once each.
fn nothing_was_lost(host: &Host, app: &App<'_>, written: &Written) -> Result<()> {
    assert_eq!(written.tally.failed(), 0, "{written}");
    assert!(written.rows.len() > 100, "there was a load: {written}");
    assert!(written.files.len() > 10, "there was a load: {written}");
    let query = "SELECT text FROM todo_item ORDER BY text";
    let rows = sql(host, app, "gunicorn", query)?;
    let rows: Vec<_> = rows.lines().collect();
    let distinct: BTreeSet<_> = rows.iter().map(|row| (*row).to_owned()).collect();
    assert_eq!(rows.len(), distinct.len(), "no row is there twice");
    assert_eq!(distinct, written.rows);
    let sound = sql(host, app, "gunicorn", "PRAGMA integrity_check")?;
    assert_eq!(sound, "ok");
    let photos = format!("{}/shared/media/photos", app.dir());
    let files: BTreeSet<_> = host.lab().list(&photos)?.into_iter().collect();
    assert_eq!(files, written.files);
    let content = host.lab().sh(&format!("cat {photos}/*"))?;
    assert_eq!(content, files.into_iter().collect::<String>());
    Ok(())
}

/// One statement, as somebody, through the link in the live release.
fn sql(host: &Host, app: &App<'_>, user: &str, statement: &str) -> Result<String> {
    let script = "import sqlite3, sys\n\
                  with sqlite3.connect(sys.argv[1], timeout=20) as db:\n    \
                      for row in db.execute(sys.argv[2]): print(*row)\n";
    let database = format!("{}/current/db.sqlite3", app.dir());
    let account = host.lab().as_user(user);
    account
        .cmd(["python3", "-c", script, &database, statement])
        .ok()
}

/// Whatever the first case has left: releases, static files, the database, uploads.
fn what_was_deployed_and_what_the_app_wrote_is_the_groups_to_change(host: &Host) -> Result<()> {
    let lab = host.lab();
    let dir = format!("/var/www/projects/{NAME}");
    ensure!(
        lab.exists(&format!("{dir}/current"))?,
        "the first case comes first"
    );
    let odd = lab.sh(&format!(
        "find {dir} /www/static/{NAME} \\( ! -type l ! -group hosted_apps \\
             -o -type d ! -perm -2775 -o -type f ! -perm -0664 \\) -printf '%M %u %g %p\\n'"
    ))?;
    assert_eq!(
        odd, "",
        "the group may write everything, directories pass it on"
    );
    let kinds = [
        "releases/*/manage.py",
        "releases/*/todo/__pycache__/*.pyc",
        "shared/media/photos/*",
        "shared/db.sqlite3",
        "shared/db.sqlite3.before-last-deploy",
    ];
    for kind in kinds {
        let found = lab.sh(&format!("ls -d {dir}/{kind} | wc -l"))?;
        assert_ne!(found, "0", "there is {kind} to look at");
    }

    member(host)?;
    let ada = lab.as_user("ada");
    ada.sh(&format!(
        "umask 002; cd {dir}/shared
         echo more >>media/photos/$(ls media/photos | head -n 1)
         mkdir media/hers; echo hers >media/hers/one; touch ../current/a-note"
    ))?;
    assert_eq!(
        lab.stat(&format!("{dir}/shared/media/hers"))?,
        "2775 ada hosted_apps"
    );
    assert_eq!(
        lab.stat(&format!("{dir}/shared/media/hers/one"))?,
        "664 ada hosted_apps"
    );
    let gunicorn = lab.as_user("gunicorn");
    gunicorn.sh(&format!("echo and mine >>{dir}/shared/media/hers/one"))?;
    Ok(())
}

fn with_a_write_ahead_log_no_request_and_no_row_is_lost_either(host: &Host) -> Result<()> {
    let app = app(host, "logged")?;
    app.deploy(version(0), "Version 0")?;
    let mode = sql(host, &app, "gunicorn", "PRAGMA journal_mode=WAL")?;
    assert_eq!(mode, "wal");
    let writers = Writers::start(host.lab(), app.port(), "w")?;
    let seen = log_files(host, &app);
    // Somebody else of the group, whose umask would shut the others out of files she makes.
    member(host)?;
    let hers = sql(
        host,
        &app,
        "ada",
        "INSERT INTO todo_item (text) VALUES ('ada')",
    );
    let deployed = deploys(host, &app, 5);
    let mut written = writers.stop()?;
    println!("{}: {written}", app.name());
    deployed?;
    hers?;
    written.rows.insert("ada".to_owned());
    for file in seen? {
        assert_eq!(file, "664 hosted_apps", "SQLite gives them the file's mode");
    }
    nothing_was_lost(host, &app, &written)?;
    let releases = format!("{}/releases", app.dir());
    let astray = host
        .lab()
        .sh(&format!("find {releases} -name '*-wal' -o -name '*-shm'"))?;
    assert_eq!(astray, "", "the log is beside the file itself");
    Ok(())
}

/// Makes `ada`, who is in the group of the apps, and nothing else.
fn member(host: &Host) -> Result<()> {
    host.lab()
        .sh("id ada >/dev/null 2>&1 || useradd --groups hosted_apps ada")?;
    Ok(())
}

/// Mode and group of the log's files while it is written to.
fn log_files(host: &Host, app: &App<'_>) -> Result<[String; 2]> {
    let shared = format!("{}/shared/db.sqlite3", app.dir());
    let look = |ending: &str| {
        let path = format!("{shared}-{ending}");
        wait_until(&format!("{path} is there"), Duration::from_secs(20), || {
            let stat = host.lab().stat(&path)?;
            let (mode, group) = (stat.split(' ').next(), stat.split(' ').nth(2));
            Ok(mode
                .zip(group)
                .map(|(mode, group)| format!("{mode} {group}")))
        })
    };
    Ok([look("wal")?, look("shm")?])
}
