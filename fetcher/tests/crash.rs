//! Rule 28: SIGKILL between any two steps, in a first deploy, an update, a deploy that is taken back,
//! a build that fails and a rollback. At each point `current` resolves to one whole release that was
//! good or is being tried; the next polls bring the app to where it would have been without.
//!
//! The program, git, the directories and the build are real. There is no systemd here: the app has
//! no unit, and its health URL is answered by this test out of the release that `current` leads to.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod program;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use program::Home;

/// Every place at which the program can be killed. That none is missing, and that each is reached
/// in some scenario, is a test of its own below.
const POINTS: [&str; 35] = [
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
    "before-restart",
    "after-restart",
    "before-probe",
    "after-probe",
    "before-back-switch",
    "after-back-switch",
    "before-back-restart",
    "after-back-restart",
    "before-back-probe",
    "after-back-probe",
    "before-state",
    "after-state",
    "after-history",
    "during-removal",
    // The second and third time that the state is written or the link renamed.
    "2*before-state",
    "2*after-state",
    "2*before-rename",
    "2*after-rename",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    FirstDeploy,
    Update,
    TakenBack,
    BuildFails,
    Rollback,
}

const SCENARIOS: [Scenario; 5] = [
    Scenario::FirstDeploy,
    Scenario::Update,
    Scenario::TakenBack,
    Scenario::BuildFails,
    Scenario::Rollback,
];

/// One app on one host.
struct Host {
    home: Home,
}

impl Host {
    /// A host on which nothing was ever pushed.
    fn new() -> Self {
        let host = Self { home: Home::new() };
        host.configure();
        host.git(&["init", "-q", "--bare", "-b", "main", "todo.git"]);
        host.git(&["init", "-q", "-b", "main", "work"]);
        host
    }

    /// Another one that is exactly like this one.
    fn copy(&self) -> Self {
        let home = Home::new();
        let mut copy = Command::new("cp");
        copy.arg("-a")
            .arg("--")
            .arg(self.home.path().join("."))
            .arg(home.path());
        assert!(copy.status().unwrap().success());
        let host = Self { home };
        host.configure();
        host
    }

    fn configure(&self) {
        let port = serve(self.home.path().join("root/current/status"));
        let at = self.home.path().display();
        self.home.app(
            "todo",
            &format!(
                "repository = \"file://{at}/todo.git\"\n[deploy]\nroot = \"{at}/root\"\nkeep = 2\n\
                 build = \"build\"\nshared = [\"data\"]\n\
                 [health]\nurl = \"http://127.0.0.1:{port}/\"\nwithin = \"500ms\"\nsteady = \"0s\"\n"
            ),
        );
    }

    fn git(&self, arguments: &[&str]) {
        let mut git = self.home.command("git");
        git.args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]);
        let output = git.args(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Pushes a version: what its health URL answers, and how its build ends.
    fn push(&self, name: &str, status: &str, build: &str) {
        let work = self.home.path().join("work");
        let script = format!("#!/bin/sh\necho {name} >built\nexit {build}\n");
        for (file, text) in [("name", name), ("status", status), ("build", &script)] {
            fs::write(work.join(file), text).unwrap();
        }
        for n in 0..20 {
            fs::write(work.join(format!("file{n}")), format!("{name} {n}\n")).unwrap();
        }
        self.git(&["-C", "work", "add", "-A"]);
        self.git(&["-C", "work", "update-index", "--chmod=+x", "build"]);
        self.git(&["-C", "work", "commit", "-q", "-m", name]);
        self.git(&["-C", "work", "push", "-q", "../todo.git", "HEAD:main"]);
    }

    /// Runs the program; whether it was killed at `point`.
    fn run(&self, arguments: &[&str], point: Option<&str>) -> bool {
        let mut command = self.home.fetcher(arguments);
        if let Some(point) = point {
            // `2*x`: the second time. fail counts down before it acts: `1*off->return`.
            let action = match point.split_once('*') {
                Some((_, name)) => format!("{name}=1*off->return"),
                None => format!("{point}=return"),
            };
            command.env("FAILPOINTS", action);
        }
        let output = command.output().unwrap();
        output.status.signal() == Some(9)
    }

    fn poll(&self) {
        self.run(&["poll", "todo"], None);
    }

    /// The version that `current` serves, after looking whether it is whole.
    fn served(&self) -> Option<String> {
        let current = self.home.path().join("root/current");
        current.symlink_metadata().ok()?;
        let name = fs::read_to_string(current.join("name")).expect("current leads to a release");
        for n in 0..20 {
            let text = fs::read_to_string(current.join(format!("file{n}"))).unwrap();
            assert_eq!(
                text,
                format!("{name} {n}\n"),
                "the release is whole and of one revision"
            );
        }
        let built = fs::read_to_string(current.join("built")).unwrap();
        assert_eq!(built.trim(), name, "it was built before it was switched to");
        assert_eq!(
            fs::read_to_string(current.join("REVISION")).unwrap().len(),
            41
        );
        assert!(current.join("data").is_dir());
        Some(name)
    }

    fn leftovers(&self) -> Vec<PathBuf> {
        let hidden = |path: &Path| path.file_name().unwrap().to_string_lossy().starts_with('.');
        ["root", "root/releases", "state/todo"]
            .iter()
            .flat_map(|d| fs::read_dir(self.home.path().join(d)).into_iter().flatten())
            .map(|entry| entry.unwrap().path())
            .filter(|path| hidden(path))
            .collect()
    }
}

/// Answers every request with the status in `file`, or 503.
fn serve(file: PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut peer in listener.incoming().flatten() {
            let _ = peer.read(&mut [0; 1024]);
            let status = fs::read_to_string(&file).unwrap_or_else(|_| "503".into());
            let _ = write!(
                peer,
                "HTTP/1.1 {} x\r\nContent-Length: 0\r\n\r\n",
                status.trim()
            );
        }
    });
    port
}

/// A host at the beginning of a scenario, and what may be expected of it.
struct Case {
    scenario: Scenario,
    host: Host,
    /// What is killed.
    command: &'static [&'static str],
    /// What may serve after the kill.
    meanwhile: Vec<Option<&'static str>>,
    /// What has to serve in the end.
    finally: &'static str,
}

impl Case {
    fn new(scenario: Scenario) -> Self {
        let host = Host::new();
        let poll: &[&str] = &["poll", "todo"];
        if scenario != Scenario::FirstDeploy {
            for name in ["zero", "one", "two"] {
                host.push(name, "200", "0");
                host.poll();
                assert_eq!(host.served().as_deref(), Some(name));
            }
        }
        let (command, meanwhile, finally) = match scenario {
            Scenario::FirstDeploy => {
                host.push("one", "200", "0");
                (poll, vec![None, Some("one")], "one")
            }
            Scenario::Update => {
                host.push("three", "200", "0");
                (poll, vec![Some("two"), Some("three")], "three")
            }
            Scenario::TakenBack => {
                host.push("three", "500", "0");
                (poll, vec![Some("two"), Some("three")], "two")
            }
            Scenario::BuildFails => {
                host.push("three", "200", "1");
                (poll, vec![Some("two")], "two")
            }
            Scenario::Rollback => {
                let command: &[&str] = &["rollback", "todo"];
                (command, vec![Some("two"), Some("one")], "one")
            }
        };
        Self {
            scenario,
            host,
            command,
            meanwhile,
            finally,
        }
    }

    /// One cell of the matrix; whether the point was reached.
    fn killed_at(&self, point: &str) -> bool {
        let host = self.host.copy();
        if !host.run(self.command, Some(point)) {
            return false;
        }
        let at = format!("{:?} killed at {point}", self.scenario);
        let served = host.served();
        assert!(
            self.meanwhile.contains(&served.as_deref()),
            "{at}: {served:?} serves"
        );
        host.poll();
        host.poll();
        // A rollback that was killed before it was written down has not begun: it is asked for again.
        if self.scenario == Scenario::Rollback && host.served().as_deref() == Some("two") {
            assert_eq!(
                point, "before-state",
                "{at}: it was written down, and is lost"
            );
            host.run(self.command, None);
        }
        assert_eq!(
            host.served().as_deref(),
            Some(self.finally),
            "{at}: in the end"
        );
        assert_eq!(host.leftovers(), Vec::<PathBuf>::new(), "{at}: leftovers");
        host.push("four", "200", "0");
        host.poll();
        assert_eq!(
            host.served().as_deref(),
            Some("four"),
            "{at}: the next push"
        );
        true
    }
}

#[test]
fn rule_28_killed_at_every_point_of_every_scenario_it_converges() {
    let reached: Vec<_> = thread::scope(|scope| {
        let row = |scenario| {
            let case = Case::new(scenario);
            let reached: Vec<_> = POINTS
                .into_iter()
                .filter(|point| case.killed_at(point))
                .collect();
            println!(
                "{scenario:?}: {} points: {}",
                reached.len(),
                reached.join(" ")
            );
            reached
        };
        let rows: Vec<_> = SCENARIOS
            .into_iter()
            .map(|s| scope.spawn(move || row(s)))
            .collect();
        rows.into_iter()
            .flat_map(|row| row.join().unwrap())
            .collect()
    });
    println!("{} cells", reached.len());
    let never: Vec<_> = POINTS
        .iter()
        .filter(|point| !reached.contains(point))
        .collect();
    assert!(never.is_empty(), "never killed at {never:?}");
}
