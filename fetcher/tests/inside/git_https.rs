//! Over https, against git's own http-backend behind a real TLS server: listing, fetching, tokens,
//! certificates, redirections.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::git_support::Forge;
use super::git_support::https::{Request, Server, Tls, backend, reply};
use super::support;
use super::support::Mirror;
use crate::git::fetch::{FetchError, Fetched};
use crate::git::wire::Version;
use crate::git::{RefSelector, Remote, RemoteError, RemoteOptions};

pub(super) fn connect(url: &str, options: &RemoteOptions) -> Result<Remote, RemoteError> {
    Remote::connect(&url.parse().unwrap(), options)
}

fn refused(url: &str, options: &RemoteOptions) -> RemoteError {
    connect(url, options).err().unwrap()
}

pub(super) fn fetch(
    url: &str,
    options: &RemoteOptions,
    mirror: &Mirror,
) -> Result<Fetched, FetchError> {
    let wanted = RefSelector::Branch("main".into());
    let mut remote = connect(url, options)?;
    let revision = wanted.resolve(&remote.list(&wanted)?).unwrap();
    support::fetch(&mut remote, mirror, &revision, &mut |_| {})
}

/// A server of the forge's repositories that wants the user's token.
fn guarded(forge: &Forge, authorization: &'static str) -> Server {
    let root = forge.dir.path().to_owned();
    Server::start(
        move |request, stream| match request.header("authorization") {
            Some(sent) if sent == authorization => backend(&root, request, stream),
            _ => {
                let realm = "WWW-Authenticate: Basic realm=\"git\"\r\n";
                reply(stream, "401 Unauthorized", realm, b"who are you?")
            }
        },
    )
}

pub(super) fn token(server: &Server, text: &str) -> RemoteOptions {
    let file = server.dir.path().join("token");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let mut options = server.options();
    options.https.token_file = Some(file);
    options
}

#[test]
fn a_branch_is_listed_and_fetched_in_version_2_over_one_connection() {
    let forge = Forge::new();
    let server = Server::serving(forge.dir.path().to_owned());
    let (mirror, url) = (forge.mirror(), server.url("/repo"));
    for round in 0..3 {
        let tip = forge.commit("app.py", &format!("print({round})\n"), "next");
        let fetched = fetch(&url, &server.options(), &mirror).unwrap();
        assert_eq!(fetched.commit, tip);
        assert_eq!(fetched.objects, 3, "only what is new, and no history");
    }
    assert_eq!(
        connect(&url, &server.options()).unwrap().version(),
        Version::V2
    );
    let seen = server.seen();
    let first: Vec<_> = seen.iter().take(3).collect();
    assert!(first.iter().all(|r| r.connection == 0), "kept open");
    assert!(seen.iter().all(|r| r.header("authorization").is_none()));
    let agent = seen[0].header("user-agent").unwrap();
    assert!(agent.starts_with("git/pp-fetcher-"), "{agent}");
}

#[test]
fn a_connection_that_the_server_ends_without_a_word_is_opened_anew() {
    let forge = Forge::new();
    let root = forge.dir.path().to_owned();
    let server = Server::start(move |request, stream| {
        backend(&root, request, stream);
        false
    });
    for _ in 0..10 {
        fetch(&server.url("/repo"), &server.options(), &forge.mirror()).unwrap();
        forge.commit("app.py", &server.seen().len().to_string(), "next");
    }
    let seen = server.seen();
    assert!(
        seen.iter().skip(1).all(|r| r.connection > 0),
        "none is kept"
    );
}

#[test]
fn a_request_that_a_kept_connection_ends_on_is_sent_once_more_and_not_twice() {
    let forge = Forge::new();
    for (silent, asked) in [(1, 2), (9, 2)] {
        let root = forge.dir.path().to_owned();
        let posts = AtomicUsize::new(0);
        let server = Server::start(move |request, stream| {
            if request.method == "POST" && posts.fetch_add(1, Ordering::SeqCst) < silent {
                return false;
            }
            backend(&root, request, stream)
        });
        let mut remote = connect(&server.url("/repo"), &server.options()).unwrap();
        let listed = remote.list(&RefSelector::Branch("main".into()));
        match listed {
            Ok(_) => assert_eq!(silent, 1),
            Err(error) => assert_eq!((silent, error.reason()), (9, "unreachable"), "{error}"),
        }
        let posts = server.seen().iter().filter(|r| r.method == "POST").count();
        assert_eq!(posts, asked);
    }
}

#[test]
fn a_server_that_speaks_only_version_0_is_listed_and_fetched_from() {
    let forge = Forge::new();
    forge.git(&["tag", "-a", "-m", "one", "v1.0.0"]);
    let root = forge.dir.path().to_owned();
    let server = Server::start(move |request, stream| {
        let mut old = request.clone();
        old.headers.retain(|(name, _)| name != "git-protocol");
        backend(&root, &old, stream)
    });
    let (mirror, url) = (forge.mirror(), server.url("/repo"));
    for round in 0..3 {
        let fetched = fetch(&url, &server.options(), &mirror).unwrap();
        assert!(mirror.contains(fetched.commit));
        assert_eq!(fetched.objects, 3, "round {round}: only what is new");
        forge.commit("app.py", &format!("print({round})\n"), "next");
    }
    let mut remote = connect(&url, &server.options()).unwrap();
    assert_eq!(remote.version(), Version::V0);
    let tags = RefSelector::TagGlob("v*".into());
    let tag = tags.resolve(&remote.list(&tags).unwrap()).unwrap();
    assert_ne!(tag.id, tag.commit, "peeled by the advertisement");
}

#[test]
fn a_repository_with_nothing_in_it_and_a_branch_that_is_gone_are_told_apart() {
    let forge = Forge::empty();
    let server = Server::serving(forge.dir.path().to_owned());
    let gone = RefSelector::Branch("gone".into());
    let why = || {
        let mut remote = connect(&server.url("/repo"), &server.options()).unwrap();
        let listed = remote.list(&gone).unwrap();
        gone.resolve(&listed).unwrap_err().to_string()
    };
    assert!(why().contains("is empty"), "{}", why());
    forge.commit("a", "a", "one");
    assert!(why().contains("there are: main"), "{}", why());
}

#[test]
fn a_token_is_sent_with_its_user_name_and_a_wrong_one_is_told_from_none() {
    let forge = Forge::new();
    // x-access-token:s3cret
    let server = guarded(&forge, "Basic eC1hY2Nlc3MtdG9rZW46czNjcmV0");
    let url = server.url("/repo");
    let fetched = fetch(&url, &token(&server, "s3cret\n"), &forge.mirror());
    assert_eq!(fetched.unwrap().objects, 3);
    let mut named = token(&server, "s3cret");
    named.https.username = "oauth2".into();
    assert!(connect(&url, &named).is_err(), "another user name is sent");
    let wrong = refused(&url, &token(&server, "hunter2"));
    assert_eq!(wrong.reason(), "permission-denied");
    let text = format!("{wrong} {wrong:?}");
    assert!(text.contains("has it expired or been revoked?"), "{text}");
    assert!(
        !text.contains("hunter2") && !text.contains("aHVudGVyMg"),
        "{text}"
    );
    let none = refused(&url, &server.options());
    assert!(
        none.to_string().contains("no token is configured"),
        "{none}"
    );
}

#[test]
fn rule_33_a_token_is_read_anew_at_each_connection_and_never_from_an_open_file() {
    let forge = Forge::new();
    let server = guarded(&forge, "Basic eC1hY2Nlc3MtdG9rZW46czNjcmV0");
    let url = server.url("/repo");
    let options = token(&server, "old");
    assert!(connect(&url, &options).is_err());
    let file = options.https.token_file.clone().unwrap();
    fs::write(&file, "s3cret\n").unwrap();
    assert!(connect(&url, &options).is_ok());
    let asked = server.seen().len();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let error = refused(&url, &options);
    assert_eq!(error.reason(), "configuration");
    assert!(error.to_string().contains("(mode 0644)"), "{error}");
    fs::remove_file(&file).unwrap();
    let error = refused(&url, &options);
    assert!(error.to_string().contains("cannot be read"), "{error}");
    assert_eq!(server.seen().len(), asked, "nothing was sent");
}

#[test]
fn each_answer_that_is_no_repository_has_its_own_reason() {
    let server = Server::start(|request, stream| {
        let page = "Content-Type: text/html; charset=utf-8\r\n";
        match request.target.split('/').nth(1).unwrap() {
            "page" => reply(stream, "200 OK", page, b"<html>hello</html>"),
            "bare" => reply(stream, "200 OK", "", b"001e# service=git-upload-pack\n0000"),
            status => reply(stream, &format!("{status} x"), page, b"<html>sorry</html>"),
        }
    });
    for (path, reason, part) in [
        ("/403/x", "permission-denied", "status 403"),
        ("/404/x", "no-repository", "no token is configured"),
        ("/410/x", "no-repository", "no such repository"),
        ("/400/x", "server-error", "check the address"),
        ("/429/x", "server-error", "poll less often"),
        ("/503/x", "server-error", "trouble of its own"),
        ("/page", "protocol", "is text/html; charset=utf-8, not"),
        ("/bare", "protocol", "without a type"),
    ] {
        let error = refused(&server.url(path), &server.options());
        assert_eq!(error.reason(), reason, "{path}: {error}");
        assert!(error.to_string().contains(part), "{path}: {error}");
        assert!(
            error.to_string().starts_with("https://127.0.0.1:"),
            "{error}"
        );
    }
    let known = refused(&server.url("/404/x"), &token(&server, "t"));
    assert!(
        known.to_string().contains("our token may not see it"),
        "{known}"
    );
    let known = refused(&server.url("/403/x"), &token(&server, "t"));
    assert!(known.to_string().contains("knows our token"), "{known}");
}

#[test]
fn a_repository_the_server_does_not_have_is_said_so() {
    let forge = Forge::new();
    let server = Server::serving(forge.dir.path().to_owned());
    let error = refused(&server.url("/nothing.git"), &server.options());
    assert_eq!(error.reason(), "no-repository", "{error}");
}

#[test]
fn a_certificate_is_checked_against_the_authorities_its_dates_and_the_name() {
    let nobody = |_: &Request, _: &mut Tls| false;
    let server = Server::start(nobody);
    let stranger = Server::start_as("forge.example", 2020, 2090, nobody);
    let error = refused(&server.url("/x"), &stranger.options());
    assert_eq!(error.reason(), "certificate", "{error}");
    assert!(
        error.to_string().contains("signed by nobody that /"),
        "{error}"
    );
    assert!(
        error.to_string().contains("ca_file under [https]"),
        "{error}"
    );
    let namesake = Server::start(nobody);
    let error = refused(&server.url("/x"), &namesake.options());
    assert_eq!(error.reason(), "certificate", "{error}");
    assert!(error.to_string().contains("with another key"), "{error}");
    assert_eq!(server.seen().len(), 0, "nothing was sent");
    for (name, from, until, part) in [
        ("127.0.0.1", 2020, 2021, "it has expired"),
        ("127.0.0.1", 2080, 2090, "it is not valid yet"),
        ("forge.example", 2020, 2090, "it is for another host name"),
    ] {
        let server = Server::start_as(name, from, until, nobody);
        let error = refused(&server.url("/x"), &server.options());
        assert_eq!(error.reason(), "certificate", "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(server.seen().len(), 0, "nothing was sent");
    }
}

#[test]
fn authorities_that_cannot_be_read_are_said_with_their_file() {
    let server = Server::start(|_, _| false);
    let mut options = server.options();
    for (content, part) in [
        (None, "No such file"),
        (Some("nothing\n"), "it holds no certificate"),
        (
            Some("-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n"),
            "not PEM",
        ),
    ] {
        let file = server.dir.path().join("authorities");
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
        }
        options.https.ca_file = file.clone();
        let error = refused(&server.url("/x"), &options);
        assert_eq!(error.reason(), "configuration");
        let text = error.to_string();
        assert!(
            text.contains(part) && text.contains(&*file.to_string_lossy()),
            "{text}"
        );
    }
}

#[test]
fn a_repository_that_moved_on_the_same_server_is_followed() {
    let forge = Forge::new();
    let root = forge.dir.path().to_owned();
    let server = Server::start(
        move |request, stream| match request.target.strip_prefix("/old") {
            Some(rest) => {
                let location = format!("Location: /repo{rest}\r\n");
                reply(stream, "301 Moved Permanently", &location, b"moved")
            }
            None => backend(&root, request, stream),
        },
    );
    let fetched = fetch(&server.url("/old"), &server.options(), &forge.mirror());
    assert_eq!(fetched.unwrap().objects, 3);
    let posts: Vec<_> = server
        .seen()
        .into_iter()
        .filter(|r| r.method == "POST")
        .collect();
    assert!(posts.iter().all(|r| r.target == "/repo/git-upload-pack"));
}

#[test]
fn rule_33_a_redirection_to_another_server_gets_neither_the_token_nor_anything_else() {
    let elsewhere = Server::start(|_, stream| reply(stream, "200 OK", "", b""));
    let to = elsewhere.url("/repo");
    let server = Server::start(move |request, stream| {
        let query = request.target.trim_start_matches("/repo");
        let location = format!("Location: {to}{query}\r\n");
        reply(stream, "302 Found", &location, b"")
    });
    let mut options = token(&server, "hunter2");
    // So that its certificate would be trusted.
    let both = fs::read_to_string(server.dir.path().join("ca.pem")).unwrap()
        + &fs::read_to_string(elsewhere.dir.path().join("ca.pem")).unwrap();
    options.https.ca_file = server.dir.path().join("both.pem");
    fs::write(&options.https.ca_file, both).unwrap();
    let error = refused(&server.url("/repo"), &options);
    assert_eq!(error.reason(), "redirected");
    let text = error.to_string();
    assert!(
        text.contains(&elsewhere.url("/repo, where nothing was sent")),
        "{text}"
    );
    assert!(
        !text.contains("hunter2") && !text.contains("service="),
        "{text}"
    );
    assert_eq!(elsewhere.seen().len(), 0);
}

#[test]
fn a_redirection_without_end_ends() {
    let server = Server::start(|request, stream| {
        let location = format!("Location: {}\r\n", request.target);
        reply(stream, "302 Found", &location, b"")
    });
    let error = refused(&server.url("/repo"), &server.options());
    assert_eq!(error.reason(), "redirected");
    assert!(server.seen().len() <= 5, "{}", server.seen().len());
}

#[test]
fn a_request_that_is_redirected_is_not_repeated_elsewhere() {
    let forge = Forge::new();
    let root = forge.dir.path().to_owned();
    let server = Server::start(move |request, stream| {
        if request.method == "GET" {
            return backend(&root, request, stream);
        }
        reply(stream, "307 x", "Location: /other/git-upload-pack\r\n", b"")
    });
    let mut remote = connect(&server.url("/repo"), &server.options()).unwrap();
    let error = remote
        .list(&RefSelector::Branch("main".into()))
        .unwrap_err();
    assert_eq!(error.reason(), "server-error", "{error}");
    assert!(
        server
            .seen()
            .iter()
            .all(|r| !r.target.starts_with("/other"))
    );
}

#[test]
fn a_name_without_an_address_and_a_closed_port_are_told_apart() {
    let server = Server::start(|_, _| false);
    let options = server.options();
    let error = refused("https://no-such-host.invalid/x", &options);
    assert_eq!(error.reason(), "name-not-resolved", "{error}");
    let error = refused("https://127.0.0.1:1/x", &options);
    assert_eq!(error.reason(), "unreachable", "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[test]
fn the_systems_authorities_are_the_default() {
    let roots = Path::new(crate::git::https::SYSTEM_ROOTS);
    if !roots.exists() {
        eprintln!(
            "SKIPPED: {} is missing; install ca-certificates",
            roots.display()
        );
        return;
    }
    let server = Server::start(|_, _| false);
    let error = refused(&server.url("/x"), &RemoteOptions::default());
    assert_eq!(
        error.reason(),
        "certificate",
        "all of them are read: {error}"
    );
}
