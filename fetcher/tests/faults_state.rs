//! A state that cannot be read, or that others are at work on: fails closed, says what to do, and what
//! it says does help.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod site;

use std::fs::{self, File};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use site::{Said, Site, invariants};

/// With this in place of the state nothing is deployed and the reason is told; after what the
/// message says the next poll deploys.
fn broken(spoil: impl Fn(&str) -> Vec<u8>, said: &[&str]) {
    let site = Site::with_one_live();
    let file = site.state_path("state.json");
    let good = fs::read_to_string(&file).unwrap();
    let two = site.push("two", "200", "");
    fs::write(&file, spoil(&good)).unwrap();
    let polled = site.poll();
    polled.ended(1).has(&["state/todo/state.json"]).has(said);
    assert_eq!(
        site.served().as_deref(),
        Some("one"),
        "nothing was deployed"
    );
    assert_eq!(
        fs::read(&file).unwrap(),
        spoil(&good),
        "nothing was overwritten"
    );
    for command in ["status", "retry", "rollback"] {
        assert_ne!(site.run(&[command, "todo"]).code, Some(0), "{command}");
    }
    invariants::nothing_runs(&site);
    // What the message says: move it away.
    fs::rename(&file, site.home.path().join("state.json.old")).unwrap();
    site.poll().ended(0);
    assert_eq!(site.served().as_deref(), Some("two"));
    assert_eq!(site.state().live.unwrap().revision.to_string(), two);
    site.push("three", "200", "");
    site.poll().ended(0);
    invariants::always(&site);
}

#[test]
fn fault_state_truncated() {
    let half = |good: &str| good.as_bytes().get(..good.len() / 2).unwrap().to_vec();
    broken(
        half,
        &["not a state file", "nothing is deployed", "move it away"],
    );
}

#[test]
fn fault_state_empty() {
    broken(|_| Vec::new(), &["not a state file", "move it away"]);
}

#[test]
fn fault_state_garbage() {
    broken(|_| vec![0xff; 4096], &["not a state file", "move it away"]);
}

#[test]
fn fault_state_from_a_newer_version() {
    let newer = |good: &str| good.replace("\"schema\": 1", "\"schema\": 2").into_bytes();
    broken(
        newer,
        &[
            "written by another version",
            "schema 2",
            "move the file away",
        ],
    );
}

#[test]
fn fault_history_torn_and_garbage() {
    let site = Site::with_one_live();
    let file = site.state_path("history.jsonl");
    let mut text = fs::read(&file).unwrap();
    text.truncate(text.len() - 40);
    text.extend([0xfe; 100]);
    fs::write(&file, text).unwrap();
    site.push("two", "200", "");
    site.poll().ended(0);
    assert_eq!(site.attempts().last().unwrap().attempt.number, 3);
    site.run(&["history", "todo"])
        .ended(0)
        .has(&["zero", "two"]);
    site.converges("two");
}

#[test]
fn fault_log_directory_missing() {
    let site = Site::with_one_live();
    fs::remove_dir_all(site.state_path("logs")).unwrap();
    site.push("two", "200", "");
    site.poll().ended(0);
    site.converges("two");
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

#[test]
fn fault_fifty_polls_at_once_with_the_service_running() {
    let site = Site::with_one_live();
    let log = File::create(site.home.path().join("log")).unwrap();
    let mut run = site.home.fetcher(&["run"]);
    let mut service = run
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    site.home.wait_for("nothing new");
    site.push("two", "200", "sleep 1");
    let polls: Vec<Child> = (0..50)
        .map(|_| {
            let mut poll = site.home.fetcher(&["poll", "todo"]);
            poll.stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let said: Vec<Said> = polls
        .into_iter()
        .map(|poll| poll.wait_with_output().unwrap().into())
        .collect();
    // The service may have been the first to see it; a poll that came last finds nothing new.
    while site.served().as_deref() != Some("two") {
        site.home.wait_for("good: ");
    }
    let mut deployed = fs::read_to_string(site.home.path().join("log"))
        .unwrap()
        .matches("good: ")
        .count();
    for one in &said {
        one.ended(0);
        deployed += one.text.matches("good: ").count();
        let quiet = ["another pass is at work", "nothing new", "good: "];
        assert!(
            quiet.iter().any(|words| one.text.contains(words)),
            "{one:?}"
        );
    }
    signal(&service, Signal::SIGTERM);
    assert_eq!(service.wait().unwrap().code(), Some(0));
    assert_eq!(deployed, 1, "one of them deployed it");
    assert_eq!(site.attempts().len(), 3);
    invariants::at_rest(&site);
    site.converges("two");
}
