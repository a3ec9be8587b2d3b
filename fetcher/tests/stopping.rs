//! SIGTERM and SIGHUP, to the real program.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod program;

use std::fs::{self, File};
use std::process::Child;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use program::Home;

/// An app whose repository is not there: every poll fails, and says so.
fn app(home: &Home, name: &str) {
    let text = format!(
        "repository = \"file://{0}/none.git\"\ninterval = \"5s\"\n[deploy]\nroot = \"{0}/root\"\n",
        home.path().display()
    );
    home.app(name, &text);
}

fn start(home: &Home) -> Child {
    let log = home.path().join("log");
    let log = File::options().create(true).append(true).open(log).unwrap();
    let mut command = home.fetcher(&["run"]);
    command.stdout(log.try_clone().unwrap()).stderr(log);
    command.spawn().unwrap()
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

#[test]
fn sigterm_ends_the_service_in_order() {
    let home = Home::new();
    app(&home, "one");
    let mut service = start(&home);
    home.wait_for("one: failed: poll");
    signal(&service, Signal::SIGTERM);
    assert_eq!(service.wait().unwrap().code(), Some(0));
}

#[test]
fn sighup_takes_new_apps_and_a_mistake_leaves_the_old_ones_at_work() {
    let home = Home::new();
    app(&home, "one");
    let mut service = start(&home);
    home.wait_for("one: failed: poll");
    app(&home, "two");
    signal(&service, Signal::SIGHUP);
    home.wait_for("two: failed: poll");
    fs::write(home.path().join("config.toml"), "nonsense").unwrap();
    signal(&service, Signal::SIGHUP);
    home.wait_for("config.toml:1:");
    fs::write(home.path().join("log"), "").unwrap();
    home.wait_for("two: failed: poll");
    signal(&service, Signal::SIGTERM);
    assert_eq!(service.wait().unwrap().code(), Some(0));
}

#[test]
fn an_idle_service_ends_at_once() {
    let home = Home::new();
    let mut service = start(&home);
    // Its handlers are there once it has been able to say anything; with no app it says nothing.
    std::thread::sleep(Duration::from_millis(500));
    signal(&service, Signal::SIGTERM);
    assert_eq!(service.wait().unwrap().code(), Some(0));
}
