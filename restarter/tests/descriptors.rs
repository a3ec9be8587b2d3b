//! Rule 14: a front that has no descriptor left does not die and does not spin.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

mod common;

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Fake, Rig, me, mine};
use nix::sys::resource::{Resource, setrlimit};
use pp_protocol::Client;

const SERVE: &str = "PP_TEST_SERVE";

/// Not a test of its own: the other one runs it in a process that has 24 descriptors.
#[test]
fn server() {
    let Some(told) = std::env::var_os(SERVE) else {
        return;
    };
    setrlimit(Resource::RLIMIT_NOFILE, 24, 24).unwrap();
    let rig = Rig::with(
        mine(&["todo.service"]),
        Fake::taking(Duration::ZERO),
        |settings| {
            (settings.connections, settings.per_uid) = (100, 100);
        },
    );
    std::fs::write(&told, rig.path().to_str().unwrap()).unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

#[test]
fn rule_14_without_a_free_descriptor_it_waits_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let told = dir.path().join("path");
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "server", "--nocapture"])
        .env(SERVE, &told)
        .spawn()
        .unwrap();
    let path = wait_for(&told);
    let all: Vec<_> = (0..40)
        .map(|_| UnixStream::connect(&path).unwrap())
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    let (start, before) = (Instant::now(), cpu(server.id()));
    std::thread::sleep(Duration::from_millis(1500));
    let (took, used) = (start.elapsed(), cpu(server.id()) - before);
    assert!(
        used.as_secs_f64() < 0.05 * took.as_secs_f64(),
        "{used:?} of {took:?}"
    );
    drop(all);
    std::thread::sleep(Duration::from_millis(300));
    let client = Client::at(&path)
        .served_by(me())
        .timeout(Duration::from_secs(5));
    assert_eq!(client.list().unwrap().len(), 1, "it serves again");
    server.kill().unwrap();
    server.wait().unwrap();
}

fn wait_for(told: &Path) -> PathBuf {
    let start = Instant::now();
    loop {
        match std::fs::read_to_string(told) {
            Ok(path) if !path.is_empty() => return path.into(),
            _ if start.elapsed() > Duration::from_secs(20) => panic!("the server did not start"),
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
