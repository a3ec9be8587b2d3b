//! An ssh that hangs, stalls or cannot be ended politely, under the real program: each poll ends, says
//! why, leaves nothing running, and the next one deploys.
//!
//! What each of them does to one conversation, in less time, is `git_ssh.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

mod git_support;
mod site;

use std::fs;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use git_support::script;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use site::{Said, Site, invariants};

/// A host whose repository is reached by a program that stands where ssh would.
struct Distant {
    site: Site,
    bin: PathBuf,
}

impl Distant {
    fn new() -> Self {
        let site = Site::new();
        let bin = site.home.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let at = site.home.path().display().to_string();
        let file = site.home.path().join("apps.d/todo.toml");
        let text = fs::read_to_string(&file).unwrap();
        let (url, there) = (
            format!("file://{at}/todo.git"),
            format!("forge:{at}/todo.git"),
        );
        fs::write(&file, text.replace(&url, &there)).unwrap();
        let distant = Self { site, bin };
        distant.ssh("");
        distant.site.push("one", "200", "");
        distant.poll().ended(0);
        distant
    }

    /// What ssh does before it serves.
    fn ssh(&self, before: &str) {
        let repository = self.site.home.path().join("todo.git");
        let body = format!("{before}\nexec git upload-pack '{}'", repository.display());
        script(&self.bin.join("ssh"), &body);
    }

    fn start(&self) -> Child {
        let path = format!("{}:/usr/bin:/bin", self.bin.display());
        let mut poll = self.site.home.fetcher(&["poll", "todo"]);
        let log = fs::File::create(self.site.home.path().join("log")).unwrap();
        poll.env("PATH", path)
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        poll.spawn().unwrap()
    }

    fn end(&self, mut poll: Child) -> Said {
        let code = poll.wait().unwrap().code();
        let text = fs::read_to_string(self.site.home.path().join("log")).unwrap();
        Said { code, text }
    }

    fn poll(&self) -> Said {
        self.end(self.start())
    }

    /// `one` serves, nothing runs, and with an ssh that is well again the next poll deploys.
    fn converges(&self) {
        invariants::always(&self.site);
        invariants::nothing_runs(&self.site);
        assert_eq!(self.site.served().as_deref(), Some("one"));
        self.ssh("");
        self.site.push("next", "200", "");
        self.poll().ended(0);
        assert_eq!(self.site.served().as_deref(), Some("next"));
        invariants::at_rest(&self.site);
    }
}

/// The poll is told to stop, or killed, while ssh does this.
fn while_ssh(does: &str, with: Signal) -> Said {
    let distant = Distant::new();
    let mark = distant.site.home.path().join("hangs");
    distant.ssh(&format!("touch '{}'\n{does}", mark.display()));
    distant.site.push("two", "200", "");
    let poll = distant.start();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !mark.exists() {
        assert!(Instant::now() < deadline, "ssh is not started");
        std::thread::sleep(Duration::from_millis(10));
    }
    kill(Pid::from_raw(i32::try_from(poll.id()).unwrap()), with).unwrap();
    let said = distant.end(poll);
    distant.converges();
    said
}

#[test]
fn fault_ssh_hangs_and_the_poll_is_killed() {
    while_ssh("exec sleep 600", Signal::SIGKILL);
}

#[test]
fn fault_ssh_ignores_sigterm_and_the_poll_is_killed() {
    while_ssh("trap '' TERM HUP INT\nexec sleep 600", Signal::SIGKILL);
}

#[test]
fn fault_ssh_ends_in_the_middle_of_a_pack() {
    let distant = Distant::new();
    let repository = distant.site.home.path().join("todo.git");
    // Enough for the listing, not for the pack.
    let cut = format!(
        "timeout --foreground 3 git upload-pack '{}' | dd bs=1 count=20000 2>/dev/null\nexit 255",
        repository.display()
    );
    distant.ssh(&cut);
    let mut seeded = fastrand::Rng::with_seed(1);
    let noise: Vec<u8> = (0..100_000).map(|_| seeded.u8(..)).collect();
    fs::write(distant.site.home.path().join("work/noise"), noise).unwrap();
    distant.site.push("two", "200", "");
    distant.poll().ended(1).has(&["failed: fetch: forge:"]);
    distant.converges();
}

#[test]
fn fault_ssh_cannot_log_in() {
    let distant = Distant::new();
    distant.ssh("echo 'git@forge: Permission denied (publickey).' >&2; exit 255");
    distant.site.push("two", "200", "");
    distant
        .poll()
        .ended(1)
        .has(&["failed: poll: forge:", "ermission"]);
    distant.converges();
}
