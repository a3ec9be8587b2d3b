//! Https servers and proxies that stall, drip, lie, or break off: the deadline and the budget hold,
//! the cause is told, the connection is closed, and the mirror is as it was.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::git_support::Forge;
use super::git_support::https::{Request, Server, Tls, backend, git_type, reply};
use super::support;
use super::support::Mirror;
use crate::git::fetch::FetchError;
use crate::git::https::Proxy;
use crate::git::{RefSelector, Remote, RemoteError, RemoteOptions};

const SOON: Duration = Duration::from_millis(1_000);

/// What a version 2 server says first.
const GREETING: &[u8] = b"000eversion 2\n000cls-refs\n000afetch\n0000";

fn fetch(url: &str, options: &RemoteOptions, mirror: &Mirror) -> Result<(), FetchError> {
    let wanted = RefSelector::Branch("main".into());
    let mut remote = Remote::connect(&url.parse().unwrap(), options)?;
    let revision = wanted.resolve(&remote.list(&wanted)?).unwrap();
    support::fetch(&mut remote, mirror, &revision, &mut |_| {}).map(drop)
}

fn untouched(mirror: &Mirror) {
    let packs = fs::read_dir(mirror.path().join("objects/pack")).unwrap();
    assert_eq!(packs.count(), 0);
    let names = fs::read_dir(mirror.path()).unwrap();
    let mut names = names.map(|e| e.unwrap().file_name().into_string().unwrap());
    assert!(!names.any(|name| name.starts_with("incoming")));
}

/// That a conversation with `url` ends at its deadline.
fn at_the_deadline(url: &str, options: &RemoteOptions) {
    let forge = Forge::new();
    let mirror = forge.mirror();
    let mut options = options.clone();
    options.deadline = SOON;
    let begun = Instant::now();
    let error = fetch(url, &options, &mirror).unwrap_err();
    let spent = begun.elapsed();
    assert!(
        matches!(error, FetchError::Remote(RemoteError::TimedOut { .. })),
        "{error}"
    );
    assert!(spent >= SOON, "{spent:?}");
    assert!(spent < SOON * 2, "{spent:?}");
    untouched(&mirror);
}

/// That a server that answers so is left at the deadline, and sees its connection closed.
fn stalls(answer: impl Fn(&Request, &mut Tls) + Send + Sync + 'static) {
    let server = Server::start(move |request, stream| {
        answer(request, stream);
        // Until the client goes; it does not do so by saying something.
        let mut rest = [0; 16];
        while stream.read(&mut rest).is_ok_and(|n| n > 0) {}
        false
    });
    at_the_deadline(&server.url("/x"), &server.options());
    let until = Instant::now() + Duration::from_secs(10);
    while !server.a_connection_ended() {
        assert!(Instant::now() < until, "the connection is still open");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Sends the pieces one by one, with a pause before each, until the other end has gone.
fn drip(stream: &mut Tls, pieces: impl Iterator<Item = Vec<u8>>) {
    for piece in pieces {
        thread::sleep(Duration::from_millis(50));
        if stream.write_all(&piece).is_err() || stream.flush().is_err() {
            return;
        }
    }
}

#[test]
fn rule_25_a_server_that_never_answers_is_left_at_the_deadline() {
    stalls(|_, _| {});
}

#[test]
fn rule_25_one_that_stalls_in_the_middle_of_the_head_is_left_at_the_deadline() {
    stalls(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Ty").unwrap();
        stream.flush().unwrap();
    });
}

#[test]
fn rule_25_one_that_sends_its_head_a_byte_at_a_time_is_left_at_the_deadline() {
    stalls(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").unwrap();
        drip(stream, std::iter::repeat_n(b"x".to_vec(), 400));
    });
}

#[test]
fn rule_25_one_that_stalls_in_the_middle_of_a_packet_is_left_at_the_deadline() {
    stalls(|request, stream| {
        let head = format!(
            "HTTP/1.1 200 OK\r\n{}Content-Length: 99\r\n\r\n",
            git_type(request)
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(b"000eversion").unwrap();
        stream.flush().unwrap();
    });
}

#[test]
fn rule_25_one_that_sends_its_answer_a_byte_at_a_time_is_left_at_the_deadline() {
    stalls(|request, stream| {
        if request.method == "GET" {
            reply(stream, "200 OK", &git_type(request), GREETING);
        }
        let head = format!(
            "HTTP/1.1 200 OK\r\n{}Transfer-Encoding: chunked\r\n\r\n",
            git_type(request)
        );
        let _ = stream.write_all(head.as_bytes());
        drip(stream, std::iter::repeat_n(b"1\r\n0\r\n".to_vec(), 400));
    });
}

#[test]
fn rule_25_one_that_never_finishes_the_handshake_is_left_at_the_deadline() {
    let server = Server::start(|_, _| false);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/x", listener.local_addr().unwrap());
    at_the_deadline(&url, &server.options());
    let (mut peer, _) = listener.accept().unwrap();
    let mut hello = Vec::new();
    peer.set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    peer.read_to_end(&mut hello).unwrap();
    assert!(!hello.is_empty(), "it came, and the connection is closed");
}

#[test]
fn more_bytes_than_the_budget_are_not_taken() {
    let forge = Forge::new();
    let noise: String = (0..20_000).map(|n| format!("{:x}\n", n * 7_919)).collect();
    forge.commit("noise", &noise, "two");
    let server = Server::serving(forge.dir.path().to_owned());
    let mirror = forge.mirror();
    let mut options = server.options();
    options.budget = 20_000;
    let error = fetch(&server.url("/repo"), &options, &mirror).unwrap_err();
    assert_eq!(error.reason(), "too-large", "{error}");
    untouched(&mirror);
    options.budget = 2_000_000;
    fetch(&server.url("/repo"), &options, &mirror).unwrap();
}

#[test]
fn an_answer_without_end_is_not_taken() {
    let server = Server::start(|request, stream| {
        let head = format!(
            "HTTP/1.1 200 OK\r\n{}Transfer-Encoding: chunked\r\n\r\n",
            git_type(request)
        );
        stream.write_all(head.as_bytes()).unwrap();
        let packet = b"0400"
            .iter()
            .copied()
            .chain([b'x'; 1020])
            .collect::<Vec<_>>();
        let chunk = [b"400\r\n".as_slice(), &packet, b"\r\n"].concat();
        stream.write_all(b"12\r\n000eversion 2\n0000\r\n").unwrap();
        while stream.write_all(&chunk).is_ok() {}
        false
    });
    let forge = Forge::new();
    let mut options = server.options();
    options.budget = 500_000;
    let error = fetch(&server.url("/x"), &options, &forge.mirror()).unwrap_err();
    assert!(
        ["too-large", "protocol"].contains(&error.reason()),
        "{error}"
    );
}

#[test]
fn a_head_without_end_is_not_taken() {
    let server = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
        false
    });
    let forge = Forge::new();
    let error = fetch(&server.url("/x"), &server.options(), &forge.mirror()).unwrap_err();
    assert_eq!(error.reason(), "protocol", "{error}");
    assert!(error.to_string().contains("not HTTP"), "{error}");
}

#[test]
fn a_pack_that_is_cut_anywhere_is_not_taken() {
    let forge = Forge::new();
    let mirror = forge.mirror();
    for keep in [0, 1, 3, 4, 10, 40, 80, 150, 200] {
        let root = forge.dir.path().to_owned();
        let server = Server::start(move |request, stream| {
            if !request.body.windows(5).any(|w| w == b"fetch") {
                return backend(&root, request, stream);
            }
            // What is promised does not come.
            let head = format!(
                "HTTP/1.1 200 OK\r\n{}Content-Length: 9999\r\n\r\n",
                git_type(request)
            );
            stream.write_all(head.as_bytes()).unwrap();
            let said = [
                b"000dpackfile\n".as_slice(),
                b"0fa0\x01PACK\0\0\0\x02",
                &[7; 400],
            ]
            .concat();
            stream.write_all(&said[..keep]).unwrap();
            false
        });
        let error = fetch(&server.url("/repo"), &server.options(), &mirror).unwrap_err();
        assert!(
            ["unreachable", "protocol"].contains(&error.reason()),
            "{keep}: {error}"
        );
        untouched(&mirror);
    }
}

#[test]
fn what_is_no_http_no_tls_and_no_protocol_is_told_apart() {
    let forge = Forge::new();
    let mirror = forge.mirror();
    for (said, reason, part) in [
        (&b"SSH-2.0-OpenSSH_9.2\r\n\r\n"[..], "protocol", "not HTTP"),
        (b"", "unreachable", "connection broke"),
    ] {
        let server = Server::start(move |_, stream| {
            let _ = stream.write_all(said);
            false
        });
        let error = fetch(&server.url("/x"), &server.options(), &mirror).unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    for said in [&b"zzzz"[..], b"0003", b"000eversion 2\n0000", b"0032"] {
        let server =
            Server::start(move |request, stream| reply(stream, "200 OK", &git_type(request), said));
        let error = fetch(&server.url("/x"), &server.options(), &mirror).unwrap_err();
        assert_eq!(error.reason(), "protocol", "{error}");
        assert!(
            error.to_string().contains("not the git protocol"),
            "{error}"
        );
    }
    let server = Server::start(|request, stream| {
        let words = b"ERR disk \x1b[31mfull\n";
        let said = [format!("{:04x}", words.len() + 4).as_bytes(), words].concat();
        reply(stream, "200 OK", &git_type(request), &said)
    });
    let error = fetch(&server.url("/x"), &server.options(), &mirror).unwrap_err();
    assert_eq!(error.reason(), "server-error", "{error}");
    assert!(!error.to_string().chars().any(char::is_control), "{error}");
    // An ssh server, or http without encryption.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/x", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let mut hello = [0; 16];
        let _ = peer.read(&mut hello);
        let _ = peer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let error = fetch(&url, &server.options(), &mirror).unwrap_err();
    assert_eq!(error.reason(), "tls", "{error}");
    assert!(error.to_string().contains("does it speak https"), "{error}");
}

/// A proxy that answers CONNECT with `status`, and what it was asked.
fn proxy(status: &'static str) -> (Proxy, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut asked = String::new();
            let mut reader = BufReader::new(client.try_clone().unwrap());
            while !asked.ends_with("\r\n\r\n") {
                if reader.read_line(&mut asked).unwrap_or(0) == 0 {
                    break;
                }
            }
            let target = asked.split(' ').nth(1).unwrap().to_owned();
            tell.send(asked).unwrap();
            write!(client, "HTTP/1.1 {status}\r\n\r\n").unwrap();
            if status.starts_with("200") {
                let mut server = TcpStream::connect(target).unwrap();
                let (mut up, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || {
                    let _ = std::io::copy(&mut reader, &mut up);
                    let _ = up.shutdown(std::net::Shutdown::Both);
                });
                thread::spawn(move || {
                    let _ = std::io::copy(&mut server, &mut back);
                    let _ = back.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    (
        Proxy::parse(&format!("http://127.0.0.1:{port}")).unwrap(),
        told,
    )
}

#[test]
fn a_proxy_is_asked_to_connect_and_sees_no_token() {
    let forge = Forge::new();
    let server = Server::serving(forge.dir.path().to_owned());
    let file = server.dir.path().join("token");
    fs::write(&file, "hunter2").unwrap();
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let (proxy, told) = proxy("200 Connection established");
    let mut options = server.options();
    options.https.token_file = Some(file);
    options.https.proxy = Some(proxy);
    fetch(&server.url("/repo"), &options, &forge.mirror()).unwrap();
    let asked = told.recv().unwrap();
    let line = format!("CONNECT 127.0.0.1:{} HTTP/1.1\r\n", server.port);
    assert!(asked.starts_with(&line), "{asked}");
    assert!(!asked.to_lowercase().contains("authorization"), "{asked}");
    assert!(told.try_recv().is_err(), "one connection");
}

#[test]
fn a_proxy_that_refuses_or_is_not_there_is_named() {
    let server = Server::start(|_, _| false);
    let forge = Forge::new();
    let (refusing, _told) = proxy("403 Forbidden");
    let mut options = server.options();
    let named = format!("127.0.0.1:{}", refusing.port());
    options.https.proxy = Some(refusing);
    let error = fetch(&server.url("/x"), &options, &forge.mirror()).unwrap_err();
    assert_eq!(error.reason(), "proxy", "{error}");
    assert!(error.to_string().contains(&named), "{error}");
    options.https.proxy = Some(Proxy::parse("http://127.0.0.1:1").unwrap());
    let error = fetch(&server.url("/x"), &options, &forge.mirror()).unwrap_err();
    assert_eq!(error.reason(), "unreachable", "{error}");
    assert!(error.to_string().contains("proxy 127.0.0.1:1"), "{error}");
    assert_eq!(server.seen().len(), 0);
}
