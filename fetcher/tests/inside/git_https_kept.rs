//! Connections over https that stay open from one conversation to the next.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::git_https::{connect, fetch, token};
use super::git_support::Forge;
use super::git_support::https::{Authority, Server, backend};
use crate::git::https::kept::{HttpsConnections, HttpsServer};
use crate::git::{RefSelector, RemoteError, RemoteOptions};

/// Polls as the service does, over connections that are kept.
fn poll(url: &str, options: &RemoteOptions) -> Result<(), RemoteError> {
    let mut remote = connect(url, options)?;
    remote.list(&RefSelector::Branch("main".into())).map(drop)
}

fn keeping(server: &Server, mut options: RemoteOptions) -> RemoteOptions {
    let url = server.url("/repo").parse().unwrap();
    let servers = HttpsServer::of(&url, &options.https);
    options.https_connections = Some(HttpsConnections::new(servers));
    options
}

/// How many connections have reached the server.
fn connections(server: &Server) -> usize {
    let seen = server.seen();
    let all: BTreeSet<_> = seen.iter().map(|r| r.connection).collect();
    all.len()
}

#[test]
fn ten_polls_take_one_connection() {
    let forge = Forge::new();
    let server = Server::serving(forge.dir.path().to_owned());
    let options = keeping(&server, server.options());
    for _ in 0..10 {
        poll(&server.url("/repo"), &options).unwrap();
    }
    assert_eq!(connections(&server), 1);
    // A fetch leaves it for the next poll as well.
    fetch(&server.url("/repo"), &options, &forge.mirror()).unwrap();
    poll(&server.url("/repo"), &options).unwrap();
    assert_eq!(connections(&server), 1);
    // Without keeping, each poll connects.
    let options = server.options();
    poll(&server.url("/repo"), &options).unwrap();
    poll(&server.url("/repo"), &options).unwrap();
    assert_eq!(connections(&server), 3);
}

#[test]
fn a_kept_connection_that_its_server_has_ended_fails_no_poll() {
    let forge = Forge::new();
    let root = forge.dir.path().to_owned();
    let answered = AtomicUsize::new(0);
    // Each second answer is the last of its connection, as of a server that closes idle ones.
    let server = Server::start(move |request, stream| {
        backend(&root, request, stream) && answered.fetch_add(1, Ordering::SeqCst).is_multiple_of(2)
    });
    let options = keeping(&server, server.options());
    for n in 0..6 {
        poll(&server.url("/repo"), &options).unwrap_or_else(|error| panic!("poll {n}: {error}"));
    }
    assert_eq!(connections(&server), 6, "each poll has two requests");
}

#[test]
fn a_kept_connection_on_which_its_server_has_said_something_fails_no_poll() {
    let forge = Forge::new();
    let root = forge.dir.path().to_owned();
    let answered = AtomicUsize::new(0);
    // As servers do before they close an idle connection: an answer that nobody has asked for, or no HTTP at all.
    let server = Server::start(move |request, stream| {
        let more: &[u8] = match answered.fetch_add(1, Ordering::SeqCst) {
            1 => b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            3 => b"goodbye\r\n\r\n",
            _ => b"",
        };
        backend(&root, request, stream) && stream.write_all(more).is_ok() && stream.flush().is_ok()
    });
    let options = keeping(&server, server.options());
    for n in 0..4 {
        poll(&server.url("/repo"), &options).unwrap_or_else(|error| panic!("poll {n}: {error}"));
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(connections(&server), 3);
}

#[test]
fn a_kept_connection_that_says_nothing_any_more_is_given_up_for_a_new_one() {
    let forge = Forge::new();
    let root = forge.dir.path().to_owned();
    let silent = Arc::new(AtomicBool::new(false));
    let hushed = silent.clone();
    let server = Server::start(move |request, stream| {
        // Connections from before the network went away lead nowhere.
        while hushed.load(Ordering::SeqCst) && request.connection == 0 {
            thread::sleep(Duration::from_millis(50));
        }
        backend(&root, request, stream)
    });
    let options = keeping(&server, server.options());
    poll(&server.url("/repo"), &options).unwrap();
    silent.store(true, Ordering::SeqCst);
    poll(&server.url("/repo"), &options).unwrap();
    assert_eq!(connections(&server), 2);
    silent.store(false, Ordering::SeqCst);
}

#[test]
fn a_kept_connection_is_not_used_with_other_authorities() {
    let forge = Forge::new();
    let server = Server::serving(forge.dir.path().to_owned());
    let options = keeping(&server, server.options());
    poll(&server.url("/repo"), &options).unwrap();
    // The authority is taken out of the file: the server is no longer trusted, kept connection or not.
    let other = Authority::new("another");
    other.write(&options.https.ca_file);
    let error = poll(&server.url("/repo"), &options).unwrap_err();
    assert_eq!(error.reason(), "certificate", "{error}");
    fs::remove_file(&options.https.ca_file).unwrap();
    let error = poll(&server.url("/repo"), &options).unwrap_err();
    assert_eq!(error.reason(), "configuration", "{error}");
}

#[test]
fn a_token_is_read_for_each_poll_over_a_kept_connection() {
    let forge = Forge::new();
    let server = Server::serving(forge.dir.path().to_owned());
    let options = keeping(&server, token(&server, "one"));
    poll(&server.url("/repo"), &options).unwrap();
    fs::write(options.https.token_file.as_ref().unwrap(), "two").unwrap();
    poll(&server.url("/repo"), &options).unwrap();
    let seen = server.seen();
    let sent: Vec<_> = seen
        .iter()
        .filter_map(|r| r.header("authorization"))
        .collect();
    assert_eq!(sent.len(), 4);
    assert!(sent[0] == sent[1] && sent[1] != sent[2] && sent[2] == sent[3]);
    assert_eq!(connections(&server), 1);
}

#[test]
fn a_pack_that_is_given_up_half_way_leaves_no_connection() {
    let forge = Forge::new();
    let noise: String = (0..200_000u64)
        .map(|n| format!("{:x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
        .collect();
    forge.commit("noise", &noise, "noise");
    let server = Server::serving(forge.dir.path().to_owned());
    let mut options = keeping(&server, server.options());
    options.budget = 100_000;
    let error = fetch(&server.url("/repo"), &options, &forge.mirror()).unwrap_err();
    assert_eq!(error.reason(), "too-large", "{error}");
    poll(&server.url("/repo"), &options).unwrap();
    assert_eq!(connections(&server), 2);
}
