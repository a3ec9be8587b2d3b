//! What an exploited worker could touch, tried from inside. Run with `--features selftest`.
//!
//! Each attempt is made four times: not contained at all, by each layer alone, and as a worker is. The first shows
//! that the attempt itself works.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Directories as on a host, and what listens there.
struct Place {
    dir: tempfile::TempDir,
    tcp: TcpListener,
    _restarter: UnixListener,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in [
            "home/.ssh",
            "keys",
            "state/todo/mirror.git",
            "state/other/mirror.git",
            "root/releases/live",
            "root/releases/.new-x",
            "root/shared",
            "tmp",
        ] {
            fs::create_dir_all(at(name)).unwrap();
        }
        for name in [
            "home/.ssh/id_ed25519",
            "home/.ssh/authorized_keys",
            "keys/todo",
            "state/todo/state.json",
            "state/todo/mirror.git/HEAD",
            "state/other/mirror.git/HEAD",
            "root/releases/live/app.py",
            "root/releases/live/spare",
            "root/shared/db.sqlite3",
        ] {
            fs::write(at(name), "x").unwrap();
        }
        symlink("releases/live", at("root/current")).unwrap();
        Self {
            _restarter: UnixListener::bind(at("restarter.sock")).unwrap(),
            tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            dir,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Every attempt with what came of it.
    fn tries(&self, layers: &str, mirror: &Path) -> BTreeMap<String, String> {
        let port = self.tcp.local_addr().unwrap().port().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pp-git-worker"));
        command.args(["selftest", layers]);
        let out = command.arg(self.dir.path()).arg(port).arg(mirror).output();
        let out = out.unwrap();
        let said = String::from_utf8(out.stdout).unwrap();
        let complaint = String::from_utf8(out.stderr).unwrap();
        assert!(out.status.success(), "{layers}: {said}{complaint}");
        let mut all: BTreeMap<String, String> = said
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(name, verdict)| (name.to_owned(), verdict.to_owned()))
            .collect();
        // It is somebody else then, and says nothing more.
        let last = all.entry("become-program".to_owned());
        last.or_insert_with(|| "ALLOWED".to_owned());
        all
    }
}

fn allowed(tried: &BTreeMap<String, String>) -> Vec<&str> {
    let all = tried.iter().filter(|(_, verdict)| *verdict == "ALLOWED");
    all.map(|(name, _)| name.as_str()).collect()
}

#[test]
#[allow(
    clippy::too_many_lines,
    reason = "the table of CONTAINMENT.md, a row after another"
)]
fn what_an_exploited_worker_could_touch() {
    // A place of its own for each, as what is allowed leaves something behind.
    let tries = |layers: &str| {
        let place = Place::new();
        place.tries(layers, &place.at("state/todo/mirror.git"))
    };
    let none = tries("none");
    let landlock = tries("landlock");
    let seccomp = tries("seccomp");
    let worker = tries("both");

    let word = |tried: &BTreeMap<String, String>, name: &str| {
        let verdict = tried.get(name).map(String::as_str);
        if verdict == Some("ALLOWED") {
            "yes"
        } else {
            "no"
        }
        .to_owned()
    };
    println!("| attempt | not contained | Landlock alone | seccomp alone | the worker |");
    println!("|---|---|---|---|---|");
    for name in none.keys() {
        let row = [&none, &landlock, &seccomp, &worker].map(|tried| word(tried, name));
        println!("| {name} | {} |", row.join(" | "));
    }

    assert_eq!(none.len(), 56, "{none:#?}");
    let lacking = worker.get("lacking").or(landlock.get("lacking"));
    if let Some(lacking) = lacking {
        // Only where the kernel has no Landlock; then seccomp alone must hold what it can.
        println!("not proven: {lacking}");
    } else {
        let own = ["own-read", "own-remove", "own-rename", "own-write"];
        let expected = [&own[..], &["read-mirror", "thread", "write-mirror"]].concat();
        assert_eq!(allowed(&worker), expected);
    }
    for name in [
        "tcp-connect",
        "tcp-listen",
        "udp",
        "restarter",
        "unix-listen",
        "unix-datagram",
        "netlink",
        "signal-parent",
        "trace-parent",
        "read-memory-of-parent",
        "run-program",
        "become-program",
        "make-setuid",
        "make-setgid",
        "turn-setuid",
        "close-live",
        "open-key",
        "touch-live",
        "user-namespace",
        "mount",
        "set-uid",
        "make-device",
        "make-fifo",
        "chown-live",
    ] {
        assert_eq!(word(&seccomp, name), "no", "{name} with seccomp alone");
    }
    // What is refused above is not refused for another reason.
    for name in [
        "read-ssh-key",
        "read-deploy-key",
        "read-passwd",
        "read-state",
        "read-live",
        "write-live",
        "write-new-release",
        "write-state",
        "switch-current",
        "create-release",
        "create-tmp",
        "remove-live",
        "move-out",
        "link-key-in",
        "read-through-link",
        "close-live",
        "open-key",
        "make-setuid",
        "make-setgid",
        "turn-setuid",
        "touch-live",
        "make-fifo",
        "tcp-connect",
        "tcp-listen",
        "udp",
        "restarter",
        "unix-listen",
        "netlink",
        "signal-parent",
        "run-program",
        "become-program",
    ] {
        assert_eq!(
            word(&none, name),
            "yes",
            "{name} when nothing contains it: {:?}",
            none.get(name)
        );
    }
}
