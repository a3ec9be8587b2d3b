//! Build scripts that misbehave, run by the real program: at the end nothing of them is left, and
//! nothing was switched that was not built.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod site;

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use site::{Site, invariants};

/// Forks, leaves session, group, parent, directory and environment behind, and writes its id down.
fn daemon(site: &Site) -> String {
    let pid = site.home.path().join("root/shared/data/daemon");
    format!(
        "setsid env -i sh -c '(cd /; echo $$ >>{0}; exec sleep 600) >/dev/null 2>&1 &' &\n\
         while [ ! -s {0} ]; do sleep 0.02; done",
        pid.display()
    )
}

/// The processes that wrote their ids down are gone.
fn daemons_are_gone(site: &Site) {
    let written = fs::read_to_string(site.home.path().join("root/shared/data/daemon")).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    for pid in written.lines() {
        let stat = format!("/proc/{pid}/stat");
        let alive = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        while alive() {
            assert!(Instant::now() < deadline, "{pid} lives on");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn fault_build_hangs_and_ignores_sigterm() {
    let site = Site::with_one_live();
    site.configure("build_timeout = \"1s\"", "");
    site.push(
        "two",
        "200",
        "trap '' TERM\nsleep 600 &\nwhile :; do sleep 1; done",
    );
    let said = site.poll();
    said.ended(1).has(&[
        "was ended after 1.0 s (build_timeout)",
        "nothing was switched",
    ]);
    site.converges("one");
}

#[test]
fn fault_build_leaves_a_hidden_daemon_and_ends() {
    let site = Site::with_one_live();
    site.push("two", "200", &daemon(&site));
    site.poll().ended(0);
    daemons_are_gone(&site);
    site.converges("two");
}

#[test]
fn fault_build_leaves_a_hidden_daemon_and_hangs() {
    let site = Site::with_one_live();
    site.configure("build_timeout = \"2s\"", "");
    site.push("two", "200", &format!("{}\nsleep 600", daemon(&site)));
    site.poll().ended(1).has(&["build_timeout"]);
    daemons_are_gone(&site);
    site.converges("one");
}

#[test]
fn fault_build_forks_into_the_background_and_holds_its_output() {
    let site = Site::with_one_live();
    site.push("two", "200", "setsid sleep 600 &");
    let begun = Instant::now();
    site.poll().ended(0);
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "it was waited for"
    );
    site.converges("two");
}

#[test]
fn fault_build_writes_two_gigabytes() {
    let site = Site::with_one_live();
    site.push("two", "200", "head -c 2147483648 /dev/zero");
    let said = site.poll();
    said.ended(0);
    let log = fs::read(site.state_path("logs/3.log")).unwrap();
    assert!(log.len() < 17 << 20, "{} bytes are kept", log.len());
    let last = String::from_utf8_lossy(log.get(log.len() - 90..).unwrap()).into_owned();
    assert!(
        last.contains(
            "[2130706432 more bytes of output were not kept: a log holds 16777216 bytes]"
        ),
        "{last}"
    );
    site.converges("two");
}

/// As the kernel does when memory is short: the poll is killed, the build is not.
#[test]
fn fault_poll_killed_while_a_build_and_its_daemon_run() {
    let site = Site::with_one_live();
    site.push("two", "200", &format!("{}\nsleep 600", daemon(&site)));
    let mut poll = site.home.fetcher(&["poll", "todo"]).spawn().unwrap();
    let pid = site.home.path().join("root/shared/data/daemon");
    let deadline = Instant::now() + Duration::from_secs(30);
    while fs::read_to_string(&pid).unwrap_or_default().is_empty() {
        assert!(Instant::now() < deadline, "the build does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    kill(
        Pid::from_raw(i32::try_from(poll.id()).unwrap()),
        Signal::SIGKILL,
    )
    .unwrap();
    poll.wait().unwrap();
    invariants::nothing_runs(&site);
    daemons_are_gone(&site);
    site.converges("one");
}

#[test]
fn fault_build_cannot_be_started() {
    let site = Site::with_one_live();
    fs::write(
        site.home.path().join("work/build"),
        "#!/nowhere/sh\nexit 0\n",
    )
    .unwrap();
    site.home.push(&[], "wrong first line");
    site.poll().ended(1).has(&[
        "cannot be run: No such file",
        "names /nowhere/sh, which is not on this host",
    ]);
    site.converges("one");
}
