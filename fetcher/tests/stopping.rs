//! SIGTERM and SIGHUP, to the real program.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod git_support;
mod program;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use git_support::https::Server;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use program::Home;

/// An app whose repository is not there: every poll fails, and says so.
fn app(home: &Home, name: &str) {
    let text = format!(
        "repository = \"file://{0}/none.git\"\ninterval = \"5s\"\n[deploy]\nroot = \"{0}/root-{name}\"\n",
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

#[test]
fn a_forge_that_stalls_does_not_hold_up_the_end() {
    let home = Home::new();
    app(&home, "one");
    let bin = home.path().join("bin");
    fs::create_dir(&bin).unwrap();
    // Written by another process: what this one has open for writing while it forks cannot be run.
    let stalls = format!(
        "#!/bin/sh\\necho $$ >{}/log\\nexec sleep 7800\\n",
        home.path().display()
    );
    let write =
        format!("printf '{stalls}' >git && chmod 755 git && touch ../log && chmod 666 ../log");
    let mut sh = std::process::Command::new("sh");
    assert!(
        sh.args(["-c", &write])
            .current_dir(&bin)
            .status()
            .unwrap()
            .success()
    );
    let mut command = home.fetcher(&["run"]);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", bin.display()));
    let output = command.stdout(std::process::Stdio::piped());
    let service = output.spawn().unwrap();
    home.wait_for("\n");
    let pid = fs::read_to_string(home.path().join("log")).unwrap();
    let stalled = PathBuf::from(format!("/proc/{}", pid.trim()));
    assert!(stalled.exists());

    signal(&service, Signal::SIGTERM);
    let began = Instant::now();
    let output = service.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(
        began.elapsed() < Duration::from_secs(60),
        "{:?}",
        began.elapsed()
    );
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("told to stop before the server had answered"),
        "{said}"
    );
    assert!(!stalled.exists(), "it was ended and reaped");
    let state = fs::read(home.path().join("state/one/state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    assert!(state["trouble"].is_null(), "it is no trouble: {state}");
}

/// Whatever the server was about to say: nothing of HTTP, half of its head, or half of the answer.
#[test]
fn a_tls_server_that_stalls_does_not_hold_up_the_end() {
    for said in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\nContent-Ty",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\
          Content-Length: 99\r\n\r\n000eversion",
    ] {
        let server = Server::start(move |_, stream| {
            let _ = stream.write_all(said).and_then(|()| stream.flush());
            // Until the client goes.
            while stream.read(&mut [0; 16]).is_ok_and(|n| n > 0) {}
            false
        });
        let home = Home::new();
        let at = home.path().display();
        fs::copy(server.dir.path().join("ca.pem"), home.path().join("ca.pem")).unwrap();
        let text = format!(
            "repository = \"{}\"\n[https]\nca_file = \"{at}/ca.pem\"\n[deploy]\nroot = \"{at}/root\"\n",
            server.url("/x")
        );
        home.app("one", &text);
        let mut command = home.fetcher(&["run"]);
        let service = command.stdout(Stdio::piped()).spawn().unwrap();
        while server.seen().is_empty() {
            std::thread::sleep(Duration::from_millis(20));
        }
        signal(&service, Signal::SIGTERM);
        let output = service.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).unwrap();
        // One that had waited for the deadline would say that instead.
        assert!(
            text.contains("told to stop before the server had answered"),
            "{text}"
        );
    }
}
