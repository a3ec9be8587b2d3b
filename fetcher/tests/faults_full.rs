//! A disk that fills up: at every point of a deploy, of bytes and of inodes, where the releases are and
//! where the state is. And disks that are full or read-only before a poll begins.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

mod git_support;
mod site;

use std::fs;

use site::{Said, Site, disk, invariants};

/// What fails with a full disk says one of these.
const FULL: [&str; 4] = [
    "No space left on device",
    "MiB free",
    "inodes free",
    "the disk is full",
];

/// A host with `one` live, its releases and its state on small disks.
fn small() -> Site {
    let size = "size=48m,nr_inodes=1200";
    Site::on_disks(&[("root", size), ("state", size)]).deploy_zero_and_one()
}

/// Points of the program at which the disk may fill up.
const POINTS: [&str; 24] = [
    "before-poll",
    "after-poll",
    "before-fetch",
    "after-fetch",
    "before-verify",
    "after-verify",
    "before-checkout",
    "before-release",
    "after-checkout",
    "before-shared",
    "after-shared",
    "before-build",
    "after-build",
    "before-switch",
    "before-rename",
    "after-rename",
    "after-switch",
    "before-probe",
    "after-probe",
    "before-back-switch",
    "after-back-switch",
    "before-state",
    "after-state",
    "after-history",
];

/// Those from which a way back is needed.
const AFTER_THE_BUILD: [&str; 9] = [
    "before-switch",
    "before-rename",
    "after-rename",
    "after-switch",
    "before-probe",
    "after-probe",
    "before-back-switch",
    "after-back-switch",
    "after-history",
];

/// A poll in which the disk `name` fills up at `point`; none if the point is not reached.
fn fills_up_at(site: &Site, point: &str, name: &str, inodes: bool) -> Option<Said> {
    let mark = site.home.path().join("filled");
    let filler = site.home.path().join("fill");
    let body = format!(
        "touch '{}'\n{}\nexit 0",
        mark.display(),
        site.disk(name).filler(inodes)
    );
    git_support::script(&filler, &body);
    let mut poll = site.home.fetcher(&["poll", "todo"]);
    poll.env(
        "FAILPOINTS",
        format!("{point}=1*return({})", filler.display()),
    );
    let said = poll.output().unwrap().into();
    mark.exists().then_some(said)
}

/// Every point, with a version that is well or is not.
fn matrix(status: &str, points: &[&str], finally: &str) {
    if !disk::can_mount("a disk that fills up") {
        return;
    }
    let origin = small();
    origin.push("two", status, "");
    let (mut cells, mut told) = (0, 0);
    for (name, inodes) in [
        ("root", false),
        ("root", true),
        ("state", false),
        ("state", true),
    ] {
        for &point in points {
            let site = origin.copy();
            let at = format!(
                "{name} full of {} at {point}",
                if inodes { "inodes" } else { "bytes" }
            );
            let Some(said) = fills_up_at(&site, point, name, inodes) else {
                continue;
            };
            cells += 1;
            println!("{at}: {:?}", said.code);
            invariants::always(&site);
            invariants::nothing_runs(&site);
            let served = site.served().unwrap();
            // Well and switched to before the disk was full; never one that is not well.
            assert!(
                served == "one" || served == finally,
                "{at}: {served} serves\n{}",
                said.text
            );
            if said.code != Some(0) && finally == "two" {
                told += 1;
                assert!(
                    FULL.iter().any(|words| said.text.contains(words)),
                    "{at}: {}",
                    said.text
                );
            }
            site.disk(name).relieve();
            // One poll finishes or undoes what was cut short, the next deploys.
            site.poll();
            if site.served().as_deref() != Some(finally) {
                site.poll();
            }
            site.converges(finally);
        }
    }
    println!("{cells} cells, {told} of them failed and said why");
    assert!(cells >= 4 * points.len() - 12, "{cells}");
}

#[test]
fn fault_disk_fills_up_at_every_point_of_an_update() {
    matrix("200", &POINTS, "two");
}

#[test]
fn fault_disk_fills_up_at_every_point_of_a_deploy_that_is_taken_back() {
    matrix("500", &AFTER_THE_BUILD, "one");
}

/// Nothing is deployed and the reason is told; with the disk as it was, the next poll deploys.
fn refused(spoil: impl Fn(&Site), mend: impl Fn(&Site), reasons: &[&str]) {
    if !disk::can_mount("a full disk") {
        return;
    }
    let site = small();
    site.push("two", "200", "");
    spoil(&site);
    let said = site.poll();
    said.ended(1);
    assert!(
        reasons.iter().any(|reason| said.text.contains(reason)),
        "{}",
        said.text
    );
    invariants::always(&site);
    invariants::nothing_runs(&site);
    assert_eq!(site.served().as_deref(), Some("one"));
    mend(&site);
    site.poll().ended(0);
    site.converges("two");
}

#[test]
fn fault_disk_full_before_a_poll() {
    for name in ["root", "state"] {
        for kib in [0, 4, 64, 8192] {
            let leave = |site: &Site| site.disk(name).leave_bytes(kib << 10);
            refused(leave, |site| site.disk(name).relieve(), &["make room"]);
        }
    }
}

#[test]
fn fault_inodes_used_up_before_a_poll() {
    for name in ["root", "state"] {
        for inodes in [0, 1, 2, 8] {
            let leave = |site: &Site| site.disk(name).leave_inodes(inodes);
            refused(leave, |site| site.disk(name).relieve(), &["df -i"]);
        }
    }
}

#[test]
fn fault_file_system_read_only() {
    for name in ["root", "state"] {
        let set = |read_only| move |site: &Site| site.disk(name).read_only(read_only);
        refused(set(true), set(false), &["is mounted read-only"]);
    }
}

#[test]
fn fault_build_fills_the_disk() {
    if !disk::can_mount("a build that fills the disk") {
        return;
    }
    let site = small();
    let filler = site.disk("root").filler(false);
    site.push(
        "two",
        "200",
        &format!("{filler}\necho more >more || exit 1"),
    );
    let said = site.poll();
    said.ended(1)
        .has(&["ended with exit code 1", "the disk is full"]);
    assert_eq!(site.state().quarantined, [], "the revision is not to blame");
    site.disk("root").relieve();
    site.converges("one");
}

#[test]
fn fault_hook_fills_the_disk() {
    if !disk::can_mount("a hook that fills the disk") {
        return;
    }
    let site = small();
    let hook = site.home.path().join("hook");
    let (root, state) = (site.disk("root"), site.disk("state"));
    git_support::script(
        &hook,
        &format!("{}\n{}", root.filler(false), state.filler(true)),
    );
    site.configure("", &format!("[hooks]\ndeployed = \"{}\"\n", hook.display()));
    site.push("two", "200", "");
    site.poll().ended(0);
    assert_eq!(site.served().as_deref(), Some("two"));
    invariants::always(&site);
    site.configure("", "");
    root.relieve();
    state.relieve();
    assert!(fs::metadata(site.state_path("state.json")).is_ok());
    site.converges("two");
}
