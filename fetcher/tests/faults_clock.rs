//! A clock that jumps back by two days, and forward again, under the real program.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod site;

use std::path::{Path, PathBuf};

use site::{Said, Site, invariants};

/// The library that tells a program another time; of Debian's package libfaketime.
fn library() -> Option<PathBuf> {
    let places = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let found = places
        .map(|place| place.path().join("faketime/libfaketime.so.1"))
        .find(|l| l.exists());
    if found.is_none() {
        eprintln!("SKIPPED: a clock that is set back takes libfaketime");
    }
    found
}

fn two_days_ago(site: &Site, library: &Path, arguments: &[&str]) -> Said {
    let mut command = site.home.fetcher(arguments);
    command.env("LD_PRELOAD", library).env("FAKETIME", "-2d");
    command
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .output()
        .unwrap()
        .into()
}

#[test]
fn fault_clock_set_back_during_deploys() {
    let Some(library) = library() else { return };
    let site = Site::with_one_live();
    let before = |arguments: &[&str]| two_days_ago(&site, &library, arguments);
    site.push("two", "200", "");
    before(&["poll", "todo"]).ended(0);
    let times: Vec<_> = site
        .attempts()
        .iter()
        .map(|ended| ended.attempt.started_at)
        .collect();
    assert!(
        times.last() < times.first(),
        "the clock was set back: {times:?}"
    );
    invariants::at_rest(&site);
    site.push("three", "200", "exit 1");
    before(&["poll", "todo"]).ended(1);
    before(&["poll", "todo"]).ended(0).has(&["is held back"]);
    before(&["rollback", "todo"]).ended(0);
    assert_eq!(
        site.served().as_deref(),
        Some("one"),
        "the one before, whatever its date"
    );
    site.push("four", "200", "");
    before(&["poll", "todo"]).ended(0);
    invariants::at_rest(&site);
    site.converges("four");
}

#[test]
fn fault_clock_set_back_while_a_forge_is_down() {
    let Some(library) = library() else { return };
    let site = Site::with_one_live();
    let (forge, away) = (
        site.home.path().join("todo.git"),
        site.home.path().join("away.git"),
    );
    std::fs::rename(&forge, &away).unwrap();
    for _ in 0..4 {
        site.poll().ended(1);
    }
    // Now a poll of cron's would wait; with a clock before the failures it must not wait for days.
    std::fs::rename(&away, &forge).unwrap();
    site.push("two", "200", "");
    two_days_ago(&site, &library, &["poll"])
        .ended(0)
        .has(&["good: "]);
    site.converges("two");
}
