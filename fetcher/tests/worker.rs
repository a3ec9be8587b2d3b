//! The git worker is gone with its parent.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

mod git_support;
mod program;

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use git_support::script;
use program::Home;

#[test]
fn nothing_of_a_worker_is_left_when_its_parent_is_killed() {
    let home = Home::new();
    // Too much to come before the server stalls.
    let noise = (0..400_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes());
    fs::write(home.path().join("noise"), noise.collect::<Vec<u8>>()).unwrap();
    fs::create_dir(home.path().join("bin")).unwrap();
    let make = "git init -q -b main repo && cd repo && mv ../noise . && git add -A && \
                git -c user.name=Ada -c user.email=ada@example.org commit -q -m large";
    assert!(
        home.command("sh")
            .args(["-c", make])
            .status()
            .unwrap()
            .success()
    );
    // Of so many bytes, not of so many reads: git writes each line of its greeting by itself.
    let stalls = "/usr/bin/git \"$@\" | { dd bs=1 count=32768 2>/dev/null; sleep 20; }";
    script(&home.path().join("bin/git"), stalls);
    let at = home.path().display();
    let text = format!("repository = \"file://{at}/repo\"\n[deploy]\nroot = \"{at}/root\"\n");
    home.app("todo", &text);
    let mut command = home.fetcher(&["poll", "todo"]);
    command.env("PATH", format!("{at}/bin:/usr/bin:/bin"));
    let mut parent = command.stdout(Stdio::null()).spawn().unwrap();
    let worker = worker_of(&mut parent);
    let cut = home.path().join("state/todo/mirror.git");
    let until = Instant::now() + Duration::from_secs(20);
    let receiving = || {
        fs::read_dir(&cut).is_ok_and(|d| {
            d.flatten()
                .any(|e| e.file_name().to_string_lossy().starts_with("incoming-"))
        })
    };
    while !receiving() {
        assert!(Instant::now() < until, "it receives nothing");
        std::thread::sleep(Duration::from_millis(5));
    }
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert!(gone(worker), "the worker lives on");
}

/// The worker of `parent`, once it has one.
fn worker_of(parent: &mut std::process::Child) -> u32 {
    // Other test programs may have the processors for a while.
    let until = Instant::now() + Duration::from_secs(90);
    loop {
        assert!(Instant::now() < until, "there is no worker");
        let ended = parent.try_wait().unwrap();
        assert!(ended.is_none(), "the poll has ended: {ended:?}");
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let line = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let parents = stat
                .rsplit_once(") ")
                .and_then(|(_, rest)| rest.split(' ').nth(1));
            if line.contains("git-worker") && parents == Some(&parent.id().to_string()) {
                return entry.file_name().to_str().unwrap().parse().unwrap();
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn gone(process: u32) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}
