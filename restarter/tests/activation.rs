//! Rule 5: the socket is systemd's; anything else than one listening stream socket is refused.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};

/// Starts the service as systemd would, with `fd` as descriptor 3, and returns its complaint.
fn start(fd: impl Into<OwnedFd>, environment: &str) -> String {
    let script = format!("exec 3<&0 </dev/null; {environment} exec \"$0\"");
    let out = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_pp-restarter")])
        .stdin(Stdio::from(fd.into()))
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    String::from_utf8(out.stderr).unwrap()
}

fn listener() -> UnixListener {
    UnixListener::bind(tempfile::tempdir().unwrap().path().join("s")).unwrap()
}

#[test]
fn rule_5_started_by_hand_it_says_how_it_is_started() {
    let said = start(listener(), "");
    assert!(
        said.contains("systemctl start pp-restarter.socket"),
        "{said}"
    );
}

#[test]
fn rule_5_descriptors_meant_for_another_process_are_refused() {
    let said = start(listener(), "LISTEN_PID=1 LISTEN_FDS=1");
    assert!(said.contains("LISTEN_PID is not this process"), "{said}");
}

#[test]
fn rule_5_no_descriptor_and_two_descriptors_are_refused() {
    for count in ["0", "2", "", "one"] {
        let said = start(listener(), &format!("LISTEN_PID=$$ LISTEN_FDS={count}"));
        assert!(said.contains("LISTEN_FDS is not 1"), "{count}: {said}");
    }
}

#[test]
fn rule_5_another_first_descriptor_is_refused() {
    let said = start(
        listener(),
        "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDS_FIRST_FD=0",
    );
    assert!(said.contains("LISTEN_FDS_FIRST_FD"), "{said}");
}

#[test]
fn rule_5_a_udp_socket_is_refused() {
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let said = start(udp, "LISTEN_PID=$$ LISTEN_FDS=1");
    assert!(
        said.contains("descriptor 3 is not the listening stream socket"),
        "{said}"
    );
}

#[test]
fn rule_5_a_tcp_listener_a_datagram_socket_and_a_file_are_refused() {
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let datagram = UnixDatagram::unbound().unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    let fds: [OwnedFd; 3] = [tcp.into(), datagram.into(), file.into()];
    for fd in fds {
        let said = start(fd, "LISTEN_PID=$$ LISTEN_FDS=1");
        assert!(
            said.contains("descriptor 3 is not the listening stream socket"),
            "{said}"
        );
    }
}

#[test]
fn rule_5_a_socket_that_does_not_listen_is_refused() {
    let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let said = start(one, "LISTEN_PID=$$ LISTEN_FDS=1");
    assert!(said.contains("does not listen"), "{said}");
}

#[test]
fn rule_5_there_is_no_option_for_a_socket() {
    for arguments in [
        &["--socket", "/tmp/x"][..],
        &["--listen=/tmp/x"],
        &["/tmp/x"],
        &["--check", "a", "b"],
    ] {
        let out = Command::new(env!("CARGO_BIN_EXE_pp-restarter"))
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(out.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn rule_20_the_front_does_not_run_as_root() {
    if nix::unistd::geteuid().is_root() {
        let out = Command::new(env!("CARGO_BIN_EXE_pp-restarter"))
            .arg("front")
            .output()
            .unwrap();
        assert_eq!(out.status.code(), Some(1));
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(said.contains("the front is privileged"), "{said}");
    } else {
        eprintln!("skipped: rule 20 needs root");
    }
}
