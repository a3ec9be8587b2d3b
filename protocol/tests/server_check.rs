//! Rule 4: the client asks the kernel who the server is before it says a word.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use pp_protocol::codec::{encode_reply, frame};
use pp_protocol::{Answer, Client, ClientError, Reply, UnitName, Verb};

fn unit() -> UnitName {
    UnitName::parse("todo.service").unwrap()
}

/// Serves one connection with `answer` and hands back what the client sent.
fn serve(listener: UnixListener, answer: Vec<u8>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        peer.set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        let mut got = vec![0; 64];
        let n = peer.read(&mut got).unwrap_or(0);
        got.truncate(n);
        let _ = peer.write_all(&answer);
        got
    })
}

#[test]
fn rule_4_a_server_of_another_uid_is_told_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let server = serve(UnixListener::bind(&path).unwrap(), Vec::new());
    let me = nix::unistd::geteuid().as_raw();
    let error = Client::at(&path)
        .served_by(me + 1)
        .act(Verb::Restart, &unit())
        .unwrap_err();
    assert!(
        matches!(error, ClientError::Untrusted { uid, .. } if uid == me),
        "{error}"
    );
    assert!(!error.outcome_unknown());
    assert_eq!(
        server.join().unwrap(),
        Vec::<u8>::new(),
        "not one byte was sent"
    );
}

#[test]
fn the_right_server_gets_the_request_and_gives_the_answer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let denied = frame(encode_reply(&Reply::Denied).unwrap()).unwrap();
    let server = serve(UnixListener::bind(&path).unwrap(), denied.to_vec());
    let me = nix::unistd::geteuid().as_raw();
    let answer = Client::at(&path)
        .served_by(me)
        .act(Verb::Restart, &unit())
        .unwrap();
    assert_eq!(answer, Answer::Denied);
    assert_eq!(&server.join().unwrap()[..7], [0, 0, 0, 16, 1, 0, 0]);
}

#[test]
fn a_server_that_says_nothing_is_left_at_the_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let _listener = UnixListener::bind(&path).unwrap();
    let me = nix::unistd::geteuid().as_raw();
    let client = Client::at(&path)
        .served_by(me)
        .timeout(Duration::from_millis(200));
    let error = client.act(Verb::Restart, &unit()).unwrap_err();
    assert!(matches!(error, ClientError::Timeout(_)), "{error}");
    assert!(error.outcome_unknown());
}

#[test]
fn a_server_that_hangs_up_is_an_unknown_outcome() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let server = serve(UnixListener::bind(&path).unwrap(), Vec::new());
    let me = nix::unistd::geteuid().as_raw();
    let error = Client::at(&path)
        .served_by(me)
        .act(Verb::Restart, &unit())
        .unwrap_err();
    assert!(matches!(error, ClientError::Closed), "{error}");
    assert!(error.outcome_unknown());
    drop(server.join());
}
