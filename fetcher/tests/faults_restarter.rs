//! A restarter that is not there, says no, says nothing or takes its time: found out before anything is
//! switched. What it does after the switch, with a real systemd, is in the lab's suites.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod site;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use pp_protocol::Reply;
use pp_protocol::codec;
use site::disk::{self, Mounted};
use site::{Site, invariants};

/// Stands where the restarter would, in this test's own `/run`, as root: the client asks for that.
fn restarter(answer: fn(&mut UnixStream)) -> Mounted {
    let run = Mounted::new(Path::new("/run"), "size=1m");
    fs::create_dir("/run/pp-restarter").unwrap();
    let path = "/run/pp-restarter/restarter.sock";
    let listener = UnixListener::bind(path).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o666)).unwrap();
    thread::spawn(move || {
        for mut peer in listener.incoming().flatten() {
            let _ = peer.read(&mut [0; 1024]);
            answer(&mut peer);
        }
    });
    run
}

fn grants_nothing(peer: &mut UnixStream) {
    let end = codec::encode_reply(&Reply::End).unwrap();
    let _ = peer.write_all(&codec::frame(end).unwrap());
}

/// A poll that needs the restarter fails and says this; without the need for it the next one deploys.
fn in_its_way(answer: Option<fn(&mut UnixStream)>, said: &[&str]) {
    if !disk::can_mount("a restarter of its own") {
        return;
    }
    let site = Site::with_one_live();
    let run = match answer {
        Some(answer) => restarter(answer),
        None => Mounted::new(Path::new("/run"), "size=1m"),
    };
    site.configure("", "[restart]\nunits = [\"todo.service\"]\n");
    site.push("two", "200", "");
    site.poll().ended(1).has(&["failed: ", "look: "]).has(said);
    assert_eq!(site.served().as_deref(), Some("one"));
    invariants::always(&site);
    assert_eq!(site.state().quarantined, [], "the revision is not to blame");
    site.configure("", "");
    drop(run);
    site.poll().ended(0);
    site.converges("two");
}

#[test]
fn fault_restarter_absent() {
    in_its_way(
        None,
        &[
            "cannot reach the restarter at /run/pp-restarter/restarter.sock",
            "systemctl status pp-restarter.socket",
        ],
    );
}

#[test]
fn fault_restarter_denies() {
    in_its_way(
        Some(grants_nothing),
        &[
            "does not let this user restart todo.service",
            "/etc/pp-restarter/policy.d",
        ],
    );
}

#[test]
fn fault_restarter_closes_without_an_answer() {
    in_its_way(Some(|_| ()), &["closed the connection without an answer"]);
}

#[test]
fn fault_restarter_talks_nonsense() {
    in_its_way(
        Some(|peer| {
            let _ = peer.write_all(&[0xff; 64]);
        }),
        &["the restarter's answer cannot be read"],
    );
}

#[test]
fn fault_restarter_slow() {
    let begun = Instant::now();
    in_its_way(
        Some(|peer| {
            thread::sleep(Duration::from_secs(3));
            grants_nothing(peer);
        }),
        &["does not let this user restart todo.service"],
    );
    assert!(
        begun.elapsed() >= Duration::from_secs(3),
        "it was waited for"
    );
}
