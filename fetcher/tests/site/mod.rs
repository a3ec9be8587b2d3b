//! One app on one host: the real program, real git, real directories. There is no systemd here: the
//! app has no unit, and its health URL is answered by the test out of what `current` leads to.
//!
//! [`invariants`] says what must hold, whatever was done to it.

#![allow(dead_code, unreachable_pub, reason = "every suite uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

pub mod disk;
pub mod invariants;
#[path = "../program/mod.rs"]
pub mod program;
pub mod typed;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use disk::Mounted;
use pp_fetcher::{EndedAttempt, Layout, State, StateDir};
use program::Home;

/// Files of every version, beside the few that say what it is.
const FILES: usize = 20;

/// One app on one host.
pub struct Site {
    // Unmounted before the directory is removed.
    disks: Vec<Mounted>,
    pub home: Home,
    port: u16,
}

/// What a program said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub text: String,
}

impl Said {
    /// It said all of `parts`.
    pub fn has(&self, parts: &[&str]) -> &Self {
        for part in parts {
            assert!(self.text.contains(part), "{part:?} is missing: {self:?}");
        }
        self
    }

    /// It ended with this code.
    pub fn ended(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}", self.text);
        self
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = [output.stdout, output.stderr].concat();
        Self {
            code: output.status.code(),
            text: String::from_utf8_lossy(&text).into_owned(),
        }
    }
}

impl Site {
    /// A host on which nothing was ever pushed.
    pub fn new() -> Self {
        Self::on_disks(&[])
    }

    /// The same, with these directories (`root`, `state`) on file systems of their own.
    pub fn on_disks(disks: &[(&str, &str)]) -> Self {
        let site = Self::bare(disks);
        site.home.make_repository();
        site
    }

    fn bare(disks: &[(&str, &str)]) -> Self {
        let home = Home::new();
        let disks = disks
            .iter()
            .map(|(name, options)| Mounted::new(&home.path().join(name), options))
            .collect();
        let port = serve(home.path().join("root/current/status"));
        let site = Self { disks, home, port };
        site.configure("", "");
        site
    }

    /// A host on which `one` is live and good, and `zero` was before it.
    pub fn with_one_live() -> Self {
        Self::new().deploy_zero_and_one()
    }

    /// Deploys `zero`, then `one`.
    pub fn deploy_zero_and_one(self) -> Self {
        for name in ["zero", "one"] {
            self.push(name, "200", "");
            self.poll().ended(0);
        }
        self
    }

    /// Another one that is exactly like this one, on disks of its own.
    pub fn copy(&self) -> Self {
        let disks: Vec<_> = self.disks.iter().map(Mounted::spoken).collect();
        let disks: Vec<_> = disks
            .iter()
            .map(|(n, o)| (n.as_str(), o.as_str()))
            .collect();
        let site = Self::bare(&disks);
        let mut copy = Command::new("cp");
        copy.args(["-a", "--"]);
        let parts = ["root", "state", "todo.git", "work"].map(|name| self.home.path().join(name));
        copy.args(parts.iter().filter(|part| part.exists()));
        assert!(copy.arg(site.home.path()).status().unwrap().success());
        site.configure("", "");
        site
    }

    /// Writes the app's file, with more settings in `[deploy]` and more sections.
    pub fn configure(&self, deploy: &str, sections: &str) {
        let (at, port) = (self.home.path().display(), self.port);
        self.home.app(
            "todo",
            &format!(
                "repository = \"file://{at}/todo.git\"\ninterval = \"5s\"\n\
                 [deploy]\nroot = \"{at}/root\"\nkeep = 2\nbuild = \"build\"\nshared = [\"data\"]\n{deploy}\n\
                 [health]\nurl = \"http://127.0.0.1:{port}/\"\nwithin = \"1500ms\"\nsteady = \"0s\"\n{sections}"
            ),
        );
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        self.home.git(arguments)
    }

    /// Pushes a version: what its health URL answers, and what its build does beside building.
    pub fn push(&self, name: &str, status: &str, build: &str) -> String {
        let work = self.home.path().join("work");
        let script = format!("#!/bin/sh\necho {name} >built\n{build}\n");
        for n in 0..FILES {
            fs::write(work.join(format!("file{n}")), format!("{name} {n}\n")).unwrap();
        }
        let files = [("name", name), ("status", status), ("build", &script)];
        self.home.push(&files, name)
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Said {
        self.home.fetcher(arguments).output().unwrap().into()
    }

    pub fn poll(&self) -> Said {
        self.run(&["poll", "todo"])
    }

    /// The version that `current` serves.
    pub fn served(&self) -> Option<String> {
        let current = self.root().join("current");
        current.symlink_metadata().ok()?;
        Some(fs::read_to_string(current.join("name")).expect("current leads to a release"))
    }

    /// After whatever was done to it: `serves` serves, all is whole, nothing runs; and the next push
    /// is deployed by the next poll, with nothing left over.
    pub fn converges(&self, serves: &str) {
        invariants::always(self);
        assert_eq!(self.served().as_deref(), Some(serves));
        invariants::nothing_runs(self);
        self.push("next", "200", "");
        let said = self.poll();
        assert_eq!(self.served().as_deref(), Some("next"), "{said:?}");
        invariants::at_rest(self);
        invariants::tidied(self);
    }

    pub fn root(&self) -> PathBuf {
        self.home.path().join("root")
    }

    pub fn layout(&self) -> Layout {
        Layout::new(&self.root())
    }

    pub fn state_dir(&self) -> StateDir {
        StateDir::new(&self.home.path().join("state"), "todo")
    }

    /// A path below the app's state.
    pub fn state_path(&self, name: &str) -> PathBuf {
        self.home.path().join("state/todo").join(name)
    }

    /// What was told to the outbox.
    pub fn events(&self) -> Vec<pp_events::Event> {
        let outbox = pp_events::Outbox::of(&self.home.path().join("state"));
        outbox.read().unwrap()
    }

    pub fn state(&self) -> State {
        self.state_dir().load().expect("the state can be read")
    }

    pub fn attempts(&self) -> Vec<EndedAttempt> {
        self.state_dir().history().read().unwrap()
    }

    /// The disk that `name` is on.
    pub fn disk(&self, name: &str) -> &Mounted {
        let disk = self.disks.iter().find(|disk| disk.spoken().0 == name);
        disk.expect("it has a disk of its own")
    }
}

/// Answers every request with the status in `file`, or 503.
fn serve(file: PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut peer in listener.incoming().flatten() {
            let _ = peer.read(&mut [0; 1024]);
            let status = read(&file).unwrap_or_else(|| "503".into());
            let _ = write!(
                peer,
                "HTTP/1.1 {} x\r\nContent-Length: 0\r\n\r\n",
                status.trim()
            );
        }
    });
    port
}

fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.read_to_string(&mut text).ok()?;
    Some(text)
}
