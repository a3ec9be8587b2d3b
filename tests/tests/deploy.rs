//! A push becomes the running app.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::process::ExitCode;

use anyhow::Result;
use pp_tests::app::{Django, Perl};
use pp_tests::cases;
use pp_tests::forge::Tree;
use pp_tests::harness::{self, Needs};
use pp_tests::host::Host;
use pp_tests::wait::wait_until;
use std::time::Duration;

fn main() -> ExitCode {
    harness::run(
        Needs::Packages,
        Host::start,
        cases![
            the_first_push_becomes_the_running_app,
            the_next_push_replaces_it_and_keeps_its_data,
            nothing_new_costs_one_connection_and_writes_nothing,
            an_app_that_is_not_python_is_deployed_alike,
            two_apps_are_deployed_in_one_pass,
            a_pass_that_finds_another_at_work_leaves_with_0,
            old_releases_are_pruned_and_the_live_one_is_not,
            files_belong_to_the_group_and_stay_writable_by_it,
        ],
    )
}

fn the_first_push_becomes_the_running_app(host: &Host) -> Result<()> {
    let app = host.django("first")?;
    assert_eq!(app.status()?.state, "new");
    let revision = app.push(Django::version("v1"), "The first version")?;
    app.poll_exits(0)?;

    app.serves("todo v1, 0 items")?;
    assert_eq!(app.current_revision()?, revision);
    let style = host.lab().read("/www/static/first/todo/style.css")?;
    assert!(
        style.starts_with("/* v1 */"),
        "collectstatic went to STATIC_ROOT: {style}"
    );

    let status = app.status()?;
    let live = status.live.clone().unwrap();
    assert_eq!((&*status.state, &*live.revision), ("ok", &*revision));
    assert_eq!(live.release, app.current()?);
    let (_, short) = live.release.rsplit_once('-').unwrap();
    assert!(short.len() >= 7 && revision.starts_with(short), "{live:?}");

    let last = app.last()?;
    assert_eq!(
        (last.attempt, &*last.outcome, &last.reason),
        (1, "good", &None)
    );
    assert_eq!(
        (&*last.author, &*last.subject),
        ("Ada Example", "The first version")
    );
    assert_eq!((last.revision, last.previous), (revision, None));
    let steps = [
        "look", "fetch", "verify", "checkout", "shared", "build", "switch", "restart", "probe",
    ];
    let names: Vec<_> = last
        .phases
        .iter()
        .map(|p| p.phase.as_str())
        .filter(|n| *n != "poll")
        .collect();
    assert_eq!(names, steps);
    Ok(())
}

fn the_next_push_replaces_it_and_keeps_its_data(host: &Host) -> Result<()> {
    let app = host.django("next")?;
    let first = app.deploy(Django::version("v1"), "First")?;
    app.serves("todo v1, 0 items")?;
    assert_eq!(host.lab().request(app.port(), "POST", "/add")?.status, 200);
    let second = app.deploy(Django::version("v2"), "Second")?;

    app.serves("todo v2, 1 items")?;
    assert_eq!(app.current_revision()?, second);
    let last = app.last()?;
    assert_eq!(
        (&*last.outcome, last.previous.as_deref()),
        ("good", Some(&*first))
    );
    assert_eq!(
        app.releases()?.len(),
        2,
        "the one before is kept for the way back"
    );
    let pid = host.lab().property(app.unit(), "MainPID")?;
    let cwd = host.lab().readlink(&format!("/proc/{pid}/cwd"))?;
    assert_eq!(cwd, format!("{}/releases/{}", app.dir(), app.current()?));
    Ok(())
}

fn nothing_new_costs_one_connection_and_writes_nothing(host: &Host) -> Result<()> {
    let app = host.django("idle")?;
    app.deploy(Django::version("v1"), "First")?;
    let (state, dir) = ("/var/lib/pp-fetcher/idle", app.dir());
    let look = || -> Result<_> {
        Ok((
            host.lab().fingerprint(&[state, &dir, "/www/static/idle"])?,
            host.lab().property(app.unit(), "InvocationID")?,
            app.history()?,
        ))
    };
    let before = look()?;
    let logins = host.forge().logins(host.lab())?;
    app.poll_exits(0)?;
    assert_eq!(
        host.forge().logins(host.lab())?,
        logins + 1,
        "one connection"
    );
    assert_eq!(look()?, before, "and no write");
    Ok(())
}

fn an_app_that_is_not_python_is_deployed_alike(host: &Host) -> Result<()> {
    let app = host.perl("hello")?;
    app.deploy(Perl("v1"), "First")?;
    app.serves("hello v1")?;
    app.deploy(Perl("v2"), "Second")?;
    app.serves("hello v2")?;
    assert_eq!(app.status()?.state, "ok");
    Ok(())
}

fn two_apps_are_deployed_in_one_pass(host: &Host) -> Result<()> {
    let (django, perl) = (host.django("pair_django")?, host.perl("pair_perl")?);
    django.push(Django::version("v1"), "First")?;
    perl.push(Perl("v1"), "First")?;
    let gunicorn = host.lab().as_user("gunicorn");
    gunicorn
        .cmd(["pp-fetcher", "poll", "pair_django", "pair_perl"])
        .ok()?;
    django.serves("todo v1")?;
    perl.serves("hello v1")?;

    // One that is bad does not hold up the other.
    django.push(Django::version("v2").failing_to_build(), "Second")?;
    perl.push(Perl("v2"), "Second")?;
    let output = gunicorn
        .cmd(["pp-fetcher", "poll", "pair_django", "pair_perl"])
        .output()?;
    assert_eq!(output.code, Some(1), "{output}");
    django.serves("todo v1")?;
    perl.serves("hello v2")?;
    Ok(())
}

fn a_pass_that_finds_another_at_work_leaves_with_0(host: &Host) -> Result<()> {
    let app = host.django("overlap")?;
    app.push(Django::version("v1").building_for(4), "First")?;
    std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            host.lab()
                .as_user("gunicorn")
                .cmd(["pp-fetcher", "poll", "overlap"])
                .output()
        });
        wait_until("the build runs", Duration::from_secs(20), || {
            Ok((host.lab().cmd(["pgrep", "-x", "sleep"]).output()?.code == Some(0)).then_some(()))
        })?;
        let second = app.poll_exits(0)?;
        assert!(
            second.took < Duration::from_secs(2),
            "it left at once: {second}"
        );
        assert!(!first.is_finished(), "while the first was still building");
        let first = first.join().unwrap()?;
        assert_eq!(first.code, Some(0), "{first}");
        Ok::<_, anyhow::Error>(())
    })?;
    app.serves("todo v1")?;
    assert_eq!(app.history()?.len(), 1);
    Ok(())
}

fn old_releases_are_pruned_and_the_live_one_is_not(host: &Host) -> Result<()> {
    let app = host.perl("pruned")?;
    app.set("keep = 5", "keep = 2")?;
    for version in ["v1", "v2", "v3", "v4"] {
        app.deploy(Perl(version), version)?;
    }
    app.serves("hello v4")?;
    let releases = app.releases()?;
    assert!((2..=3).contains(&releases.len()), "{releases:?}");
    assert!(releases.contains(&app.current()?), "{releases:?}");
    Ok(())
}

fn files_belong_to_the_group_and_stay_writable_by_it(host: &Host) -> Result<()> {
    let app = host.perl("modes")?;
    let tree = Tree::from(Perl("v1"))
        .file("dir/file", "x")
        .program("dir/tool", "#!/bin/sh\n");
    app.deploy(tree.link("dir/link", "file"), "First")?;
    let release = format!("{}/releases/{}", app.dir(), app.current()?);
    let stat = |path: &str| host.lab().stat(&format!("{release}/{path}"));
    assert_eq!(stat(".")?, "2775 gunicorn hosted_apps");
    assert_eq!(stat("dir")?, "2775 gunicorn hosted_apps");
    assert_eq!(stat("dir/file")?, "664 gunicorn hosted_apps");
    assert_eq!(stat("dir/tool")?, "775 gunicorn hosted_apps");
    assert_eq!(host.lab().readlink(&format!("{release}/dir/link"))?, "file");
    Ok(())
}
