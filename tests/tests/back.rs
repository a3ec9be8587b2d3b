//! A bad push does not become an outage.
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
            a_build_that_fails_switches_nothing,
            a_build_without_end_is_ended_at_its_time_limit_with_its_children,
            an_app_that_crashes_at_import_is_taken_back,
            an_app_that_answers_500_is_taken_back,
            a_release_taken_back_is_not_tried_again,
            the_next_good_commit_is_deployed_after_a_bad_one,
            a_first_push_that_is_bad_leaves_the_app_to_the_next,
            an_app_that_dies_a_moment_after_it_was_good_is_taken_back,
        ],
    )
}

/// The release before is live, in files, in memory and in the books; the bad one is quarantined.
fn assert_taken_back(app: &App<'_>, good: &str, bad: &str) -> Result<()> {
    app.serves("todo v1")?;
    assert_eq!(app.current_revision()?, good);
    let status = app.status()?;
    assert_eq!(status.state, "quarantined");
    assert_eq!(status.live.unwrap().revision, good);
    let quarantined: Vec<_> = status.quarantined.iter().map(|q| &*q.revision).collect();
    assert_eq!(quarantined, [bad]);

    let last = app.last()?;
    assert_eq!((&*last.outcome, &*last.revision), ("rolled-back", bad));
    assert!(
        last.reason
            .as_ref()
            .is_some_and(|reason| !reason.is_empty()),
        "{last:?}"
    );
    let names = last.phase_names();
    let back = ["back-switch", "back-restart", "back-probe"];
    assert!(names.ends_with(&back), "{names:?}");
    Ok(())
}

fn a_build_that_fails_switches_nothing(host: &Host) -> Result<()> {
    let app = host.django("build")?;
    let good = app.deploy(Django::version("v1"), "Good")?;
    let started = host.lab().property(app.unit(), "InvocationID")?;
    let bad = app.push(Django::version("v2").failing_to_build(), "Bad")?;
    let output = app.poll_exits(1)?;
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(
        said.contains("the stylesheet does not compile"),
        "its last words are shown: {said}"
    );

    app.serves("todo v1")?;
    assert_eq!(app.current_revision()?, good);
    assert_eq!(
        host.lab().property(app.unit(), "InvocationID")?,
        started,
        "and nothing restarted"
    );
    let last = app.last()?;
    assert_eq!((&*last.outcome, &*last.revision), ("failed", &*bad));
    assert!(
        last.reason.as_ref().unwrap().contains('7'),
        "the exit code: {last:?}"
    );
    assert_eq!((last.phase("switch"), last.phase("restart")), (None, None));
    assert_eq!(app.releases()?.len(), 2, "kept to be looked into");
    assert!(said.contains("what it has left stays in "), "{said}");
    app.poll_exits(0)?;
    assert_eq!(app.history()?.len(), 2, "and it is not built again");
    Ok(())
}

fn a_build_without_end_is_ended_at_its_time_limit_with_its_children(host: &Host) -> Result<()> {
    let app = host.perl("endless")?;
    app.set("keep = 5", "keep = 5\nbuild_timeout = \"2s\"")?;
    app.deploy(Perl("v1"), "Good")?;
    let script = "#!/bin/sh\ntrap '' TERM\nsleep 7777 & sleep 7777\n";
    app.push(
        Tree::from(Perl("v2")).program("deploy.sh", script),
        "Endless",
    )?;
    app.poll_exits(1)?;
    let left = host.lab().cmd(["pgrep", "-f", "^sleep 7777"]).output()?;
    assert_eq!(left.stdout, "", "nothing of it is left");
    app.serves("hello v1")?;
    assert_eq!(app.last()?.outcome, "failed");
    Ok(())
}

fn an_app_that_crashes_at_import_is_taken_back(host: &Host) -> Result<()> {
    let app = host.django("crash")?;
    let good = app.deploy(Django::version("v1"), "Good")?;
    let bad = app.push(Django::version("v2").crashing_at_import(), "Bad")?;
    app.poll_exits(1)?;
    assert_taken_back(&app, &good, &bad)
}

fn an_app_that_answers_500_is_taken_back(host: &Host) -> Result<()> {
    let app = host.django("sick")?;
    let good = app.deploy(Django::version("v1"), "Good")?;
    let bad = app.push(Django::version("v2").answering_500(), "Bad")?;
    app.poll_exits(1)?;
    let reason = app.last()?.reason.unwrap();
    assert!(reason.contains("500"), "{reason}");
    assert_taken_back(&app, &good, &bad)
}

fn a_release_taken_back_is_not_tried_again(host: &Host) -> Result<()> {
    let app = host.django("once")?;
    let good = app.deploy(Django::version("v1"), "Good")?;
    let bad = app.push(Django::version("v2").answering_500(), "Bad")?;
    app.poll_exits(1)?;
    let started = host.lab().property(app.unit(), "InvocationID")?;
    for _ in 0..2 {
        app.poll_exits(0)?;
    }
    assert_eq!(app.history()?.len(), 2);
    assert_eq!(host.lab().property(app.unit(), "InvocationID")?, started);
    assert_taken_back(&app, &good, &bad)
}

fn the_next_good_commit_is_deployed_after_a_bad_one(host: &Host) -> Result<()> {
    let app = host.django("mended")?;
    let first = app.deploy(Django::version("v1"), "Good")?;
    app.push(Django::version("v2").crashing_at_import(), "Bad")?;
    app.poll_exits(1)?;
    let third = app.deploy(Django::version("v3"), "Mended")?;
    app.serves("todo v3")?;
    let last = app.last()?;
    assert_eq!((&*last.outcome, &*last.revision), ("good", &*third));
    assert_eq!(
        last.previous,
        Some(first),
        "what was live, not what was tried"
    );
    assert_eq!(app.status()?.state, "ok");
    Ok(())
}

fn a_first_push_that_is_bad_leaves_the_app_to_the_next(host: &Host) -> Result<()> {
    let app = host.django("stillborn")?;
    app.push(Django::version("v1").answering_500(), "Bad")?;
    app.poll_exits(1)?;
    let status = app.status()?;
    assert_eq!(status.live, None, "it was never good");
    assert_eq!(status.quarantined.len(), 1);
    app.poll_exits(0)?;
    assert_eq!(app.history()?.len(), 1);
    app.deploy(Django::version("v2"), "Good")?;
    app.serves("todo v2")?;
    Ok(())
}

fn an_app_that_dies_a_moment_after_it_was_good_is_taken_back(host: &Host) -> Result<()> {
    let app = host.perl("brief")?;
    app.set("steady = \"1s\"", "steady = \"3s\"")?;
    let good = app.deploy(Perl("v1"), "Good")?;
    let tree = Tree::from(Perl("v2"));
    let dies = pp_tests::app::Perl::SERVER.replace("my $server", "alarm 1;\nmy $server");
    app.push(tree.file("server.pl", dies), "Brief")?;
    app.poll_exits(1)?;
    assert_eq!(app.last()?.outcome, "rolled-back");
    assert_eq!(app.current_revision()?, good);
    app.serves("hello v1")?;
    Ok(())
}
