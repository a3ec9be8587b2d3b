//! SIGKILL at random moments of a run, over and over, while events come: in the end every target has been told every
//! event, and whoever knows the names of messages has been told none twice.
//!
//! `PP_KILLS` says how many kills (200), `PP_SEED` which ones: a run prints its seed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pp_events::{Event, Outbox};

/// Whom the program runs as where root runs the test: it would become another user.
const NOBODY: u32 = 65534;

/// Each target has an app of its own, so that none comes to its limit of ten an hour.
const TARGETS: u64 = 40;
const EVENTS: u64 = 8;

fn number(name: &str, usual: u64) -> u64 {
    let set = std::env::var(name).ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// How often each target was asked to take each message.
type Told = Arc<Mutex<BTreeMap<(String, String), u32>>>;

/// A server that takes all messages, each after a moment, and fails now and then.
fn serve(told: &Told, seed: u64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let told = Arc::clone(told);
    thread::spawn(move || {
        let mut random = fastrand::Rng::with_seed(seed);
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            let mut stream = BufReader::new(stream);
            let (mut path, mut id, mut length) = (String::new(), String::new(), 0);
            let mut line = String::new();
            while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
                let text = line.trim();
                if let Some(rest) = text.strip_prefix("POST /") {
                    path = rest.split(' ').next().unwrap().to_owned();
                } else if let Some(rest) = text.strip_prefix("idempotency-key: ") {
                    id = rest.to_owned();
                } else if let Some(rest) = text.strip_prefix("content-length: ") {
                    length = rest.parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            if id.is_empty() || stream.read_exact(&mut body).is_err() {
                continue;
            }
            thread::sleep(Duration::from_millis(random.u64(0..4)));
            *told.lock().unwrap().entry((path, id)).or_default() += 1;
            let answer = b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n";
            let _ = stream.get_mut().write_all(answer);
        }
    });
    address
}

fn event(target: u64, number: u64) -> Event {
    let json = format!(
        r#"{{"schema":1,"id":"app{target}-{number}","at":"2026-11-27T12:00:00Z","host":"web1","app":"app{target}",
        "event":"failed","code":"build","revision":"{number:040x}","attempt":{number}}}"#
    );
    serde_json::from_str(&json).unwrap()
}

fn program(home: &Path) -> Command {
    let mut command = Command::new(home.join("pp-notify"));
    for (option, name) in [
        ("--config", "etc"),
        ("--state", "state"),
        ("--passes", "passes"),
    ] {
        command.arg(option).arg(home.join(name));
    }
    command
        .arg("run")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// A directory with the program, its configuration and an empty outbox.
fn site(address: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    for name in ["", "etc", "state", "passes", "outbox"] {
        std::fs::create_dir_all(at(name)).unwrap();
    }
    std::fs::copy(env!("CARGO_BIN_EXE_pp-notify"), at("pp-notify")).unwrap();
    let mut config = format!("outboxes = [{:?}]\n", at("outbox"));
    for target in 0..TARGETS {
        config.push_str(&format!(
            "[[target]]\nname = \"t{target}\"\ntype = \"webhook\"\nurl = \"{address}/t{target}\"\napps = [\"app{target}\"]\n"
        ));
    }
    std::fs::write(at("etc/config.toml"), config).unwrap();
    if nix::unistd::geteuid().is_root() {
        for name in ["", "state", "outbox"] {
            chown(at(name), Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    home
}

#[test]
fn killed_at_random_moments_it_loses_nothing_and_doubles_nothing() {
    let kills = number("PP_KILLS", 200);
    let seed = number("PP_SEED", fastrand::u64(..));
    println!("PP_SEED={seed} PP_KILLS={kills}");
    let mut random = fastrand::Rng::with_seed(seed);
    let told = Told::default();
    let address = serve(&told, seed);
    let home = site(&address);
    let at = |name: &str| home.path().join(name);
    // The first run takes what is there for old news.
    assert!(program(home.path()).status().unwrap().success());
    let mut all: Vec<(u64, u64)> = (0..TARGETS)
        .flat_map(|target| (0..EVENTS).map(move |number| (target, number)))
        .collect();
    random.shuffle(&mut all);
    let outbox = Outbox::new(&at("outbox"));
    let (mut killed, mut whole) = (0, Duration::from_millis(60));
    while killed < kills || !all.is_empty() {
        for _ in 0..random.usize(0..4) {
            if let Some((target, number)) = all.pop() {
                outbox.append(&[event(target, number)]).unwrap();
                let _ = chown(outbox.file(), Some(NOBODY), Some(NOBODY));
            }
        }
        let begun = Instant::now();
        let mut run = program(home.path()).spawn().unwrap();
        let moment = whole.mul_f64(random.f64());
        while begun.elapsed() < moment && run.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_micros(300));
        }
        let _ = run.kill();
        if run.wait().unwrap().signal() == Some(9) {
            killed += 1;
        } else {
            whole = (whole * 3 + begun.elapsed() * 5 / 4) / 4;
        }
    }
    assert!(program(home.path()).status().unwrap().success());
    let told = told.lock().unwrap();
    let reached: BTreeSet<_> = told.keys().cloned().collect();
    let expected: BTreeSet<_> = (0..TARGETS)
        .flat_map(|target| {
            (0..EVENTS).map(move |n| (format!("t{target}"), format!("pp-app{target}-{n}")))
        })
        .collect();
    assert_eq!(reached, expected, "PP_SEED={seed}");
    let again = told.values().filter(|times| **times > 1).count();
    println!(
        "killed {killed} times; {} messages, {again} of them sent again under the same name",
        expected.len()
    );
    let left: Vec<_> = std::fs::read_dir(at("state"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().starts_with('.'))
        .collect();
    assert_eq!(left, [""; 0]);
}
