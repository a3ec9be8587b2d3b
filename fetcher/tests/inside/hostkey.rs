//! `pp-fetcher hostkey` against a real sshd: what is offered, what is pinned, and pinning it.
//! Rule 24: nothing is trusted but what a person named.

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::git_support::Forge;
use super::git_support::sshd::Sshd;
use super::support::fake_ssh;
use crate::config::{self, App};
use crate::deploy::source::Source;
use crate::git::{Remote, RemoteError};
use crate::repository::Repository;

/// Writes the configuration of an app whose forge is `sshd`.
fn configure(sshd: &Sshd, repository: &str) -> App {
    let apps = sshd.at("etc/apps.d");
    fs::create_dir_all(&apps).unwrap();
    let text = format!(
        "repository = \"{repository}\"\n[ssh]\n{}[deploy]\nroot = \"/srv/todo\"\n",
        sshd.table()
    );
    fs::write(apps.join("todo.toml"), text).unwrap();
    let mut config = config::load(&sshd.at("etc")).unwrap();
    config.apps.pop().unwrap()
}

fn command(sshd: &Sshd, args: &[&str]) -> Command {
    let mut command = sshd.fetcher();
    command.arg("--config").arg(sshd.at("etc")).args(args);
    command.stdin(Stdio::null());
    command
}

fn run(sshd: &Sshd, args: &[&str]) -> (Option<i32>, String) {
    said(&command(sshd, args).output().unwrap())
}

fn said(output: &Output) -> (Option<i32>, String) {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code(), String::from_utf8(both).unwrap())
}

fn pin(sshd: &Sshd, fingerprint: &str) -> (Option<i32>, String) {
    run(
        sshd,
        &["hostkey", "pin", "todo", "--fingerprint", fingerprint],
    )
}

fn known(sshd: &Sshd) -> String {
    fs::read_to_string(sshd.at("known_hosts")).unwrap_or_default()
}

fn connects(sshd: &Sshd) -> Result<(), RemoteError> {
    let forge = Forge::new();
    Remote::connect(&sshd.url(&forge.repo()), &sshd.options()).map(drop)
}

/// A server whose pinned key, in the second of three lines, is another one than its own.
fn changed() -> Option<(Sshd, String)> {
    let sshd = Sshd::start()?;
    configure(&sshd, "forge:me/todo.git");
    sshd.new_key("other");
    sshd.pin("other.pub");
    let lines = format!("# by hand\n{}elsewhere {}", known(&sshd), key(&sshd));
    fs::write(sshd.at("known_hosts"), &lines).unwrap();
    Some((sshd, lines))
}

fn key(sshd: &Sshd) -> String {
    fs::read_to_string(sshd.at("user.pub")).unwrap()
}

#[test]
fn what_is_offered_and_pinned_is_shown_with_file_and_line() {
    let Some((sshd, lines)) = changed() else {
        return;
    };
    let (code, text) = run(&sshd, &["hostkey", "show", "todo"]);
    assert_eq!(code, Some(1), "{text}");
    for wanted in [
        format!("127.0.0.1 port {0}, known as [127.0.0.1]:{0}", sshd.port),
        format!(
            "offered  ED25519 {}  not pinned",
            sshd.fingerprint("host.pub")
        ),
        format!("pinned   ED25519 {}", sshd.fingerprint("other.pub")),
        format!("{}, line 2; THE SERVER", sshd.at("known_hosts").display()),
        "pp-fetcher hostkey pin todo".to_owned(),
    ] {
        assert!(text.contains(&wanted), "{wanted}\n{text}");
    }
    assert_eq!(known(&sshd), lines, "nothing was changed");
    sshd.pin("host.pub");
    let (code, text) = run(&sshd, &["hostkey", "show", "todo"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("line 1\n"), "{text}");
}

#[test]
fn rule_24_a_changed_key_is_replaced_when_its_fingerprint_is_named() {
    let Some((sshd, lines)) = changed() else {
        return;
    };
    assert!(matches!(
        connects(&sshd),
        Err(RemoteError::HostKeyChanged { .. })
    ));
    let (code, text) = pin(&sshd, &sshd.fingerprint("host.pub"));
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains(&sshd.fingerprint("other.pub")),
        "what went is told: {text}"
    );
    let after = known(&sshd);
    let (old, new): (Vec<_>, Vec<_>) = (lines.lines().collect(), after.lines().collect());
    assert_eq!((new.len(), new[0], new[2]), (3, old[0], old[2]));
    assert!(new[1].starts_with(&format!("[127.0.0.1]:{} ssh-ed25519 ", sshd.port)));
    connects(&sshd).unwrap();
    let before = known(&sshd);
    let (code, text) = pin(&sshd, &sshd.fingerprint("host.pub"));
    assert_eq!((code, text.contains("already")), (Some(0), true), "{text}");
    assert_eq!(known(&sshd), before);
}

#[test]
fn rule_24_a_fingerprint_the_server_does_not_have_pins_nothing() {
    let Some((sshd, lines)) = changed() else {
        return;
    };
    for wrong in [
        sshd.fingerprint("other.pub"),
        "SHA256:".into(),
        String::new(),
    ] {
        let (code, text) = pin(&sshd, &wrong);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("nothing was changed"), "{text}");
        assert!(text.contains(&sshd.fingerprint("host.pub")), "{text}");
    }
    assert_eq!(known(&sshd), lines);
}

#[test]
fn rule_24_nothing_is_pinned_unless_somebody_says_which() {
    let Some((sshd, lines)) = changed() else {
        return;
    };
    let (code, text) = run(&sshd, &["hostkey", "pin", "todo"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("nothing was pinned") && text.contains("--fingerprint"),
        "{text}"
    );
    assert_eq!(known(&sshd), lines);
}

#[test]
fn on_a_terminal_the_whole_fingerprint_is_typed() {
    let Some((sshd, lines)) = changed() else {
        return;
    };
    let right = sshd.fingerprint("host.pub");
    for (typed, pinned) in [("yes", false), ("", false), (right.as_str(), true)] {
        let program = command(&sshd, &["hostkey", "pin", "todo"]);
        let words = std::iter::once(program.get_program()).chain(program.get_args());
        let words: Vec<_> = words.map(|word| word.to_str().unwrap()).collect();
        let mut terminal = Command::new("script");
        if nix::unistd::geteuid().is_root() {
            terminal.uid(65534).gid(65534);
        }
        let mut terminal = terminal
            .args(["-qec", &words.join(" "), "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = terminal.stdin.take().unwrap();
        writeln!(stdin, "{typed}").unwrap();
        let (code, text) = said(&terminal.wait_with_output().unwrap());
        drop(stdin);
        assert_eq!(code == Some(0), pinned, "{typed}: {text}");
        assert_eq!(known(&sshd) != lines, pinned, "{typed}: {text}");
    }
    connects(&sshd).unwrap();
}

#[test]
fn an_unknown_host_is_pinned_into_a_file_that_is_not_there_yet() {
    let Some(sshd) = Sshd::start() else { return };
    configure(&sshd, "forge:me/todo.git");
    fs::remove_file(sshd.at("known_hosts")).unwrap();
    let (code, text) = run(&sshd, &["hostkey", "show", "todo"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        !sshd.at("known_hosts").exists(),
        "to look is not to trust: {text}"
    );
    let (code, text) = pin(&sshd, &sshd.fingerprint("host.pub"));
    assert_eq!(code, Some(0), "{text}");
    connects(&sshd).unwrap();
}

#[test]
fn a_hashed_line_is_found_and_replaced() {
    let Some((sshd, _)) = changed() else { return };
    let hashed = Command::new("ssh-keygen")
        .args(["-q", "-H", "-f"])
        .arg(sshd.at("known_hosts"))
        .stderr(Stdio::null())
        .status();
    assert!(hashed.unwrap().success());
    let (code, text) = pin(&sshd, &sshd.fingerprint("host.pub"));
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(known(&sshd).lines().count(), 3);
    connects(&sshd).unwrap();
}

#[test]
fn a_revoked_key_and_a_line_for_others_too_are_left_alone() {
    let Some(sshd) = Sshd::start() else { return };
    configure(&sshd, "forge:me/todo.git");
    let public = |name: &str| fs::read_to_string(sshd.at(name)).unwrap();
    sshd.new_key("other");
    for (lines, expected) in [
        (format!("@revoked * {}", public("host.pub")), "@revoked"),
        (
            format!("[127.0.0.*]:* {}", public("other.pub")),
            "by a pattern",
        ),
    ] {
        fs::write(sshd.at("known_hosts"), &lines).unwrap();
        let (code, text) = pin(&sshd, &sshd.fingerprint("host.pub"));
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(expected) && text.contains("line 1"), "{text}");
        assert_eq!(known(&sshd), lines);
    }
}

#[test]
fn a_key_alias_and_a_quiet_lax_configuration_change_nothing_but_the_name() {
    let Some(sshd) = Sshd::start() else { return };
    configure(&sshd, "forge:me/todo.git");
    let config = fs::read_to_string(sshd.at("ssh_config")).unwrap();
    let config = format!(
        "StrictHostKeyChecking no\nLogLevel QUIET\nHashKnownHosts yes\n{config}  HostKeyAlias todo-forge\n"
    );
    fs::write(sshd.at("ssh_config"), config).unwrap();
    fs::write(sshd.at("known_hosts"), "").unwrap();
    let (code, text) = pin(&sshd, &sshd.fingerprint("host.pub"));
    assert_eq!(code, Some(0), "{text}");
    assert!(known(&sshd).starts_with("todo-forge ssh-ed25519 "));
    connects(&sshd).unwrap();
}

#[test]
fn every_kind_of_key_is_shown_and_those_still_offered_stay_pinned() {
    let Some(sshd) = Sshd::start_with(&["ecdsa", "rsa"]) else {
        return;
    };
    configure(&sshd, "forge:me/todo.git");
    sshd.pin("host_ecdsa.pub");
    let (code, text) = run(&sshd, &["hostkey", "show", "todo"]);
    assert_eq!(
        (code, text.matches("offered ").count()),
        (Some(0), 3),
        "{text}"
    );
    for name in ["host.pub", "host_ecdsa.pub", "host_rsa.pub"] {
        assert!(text.contains(&sshd.fingerprint(name)), "{name}: {text}");
    }
    let (code, text) = pin(&sshd, &sshd.fingerprint("host_rsa.pub"));
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(known(&sshd).lines().count(), 2);
    connects(&sshd).unwrap();
}

#[test]
fn a_server_that_does_not_answer_pins_nothing_and_what_is_pinned_is_shown() {
    let Some((sshd, lines)) = changed() else {
        return;
    };
    let sleeping = sshd.at("ssh_config");
    let config = fs::read_to_string(&sleeping).unwrap();
    // The name stays the same; the way there leads nowhere.
    fs::write(&sleeping, format!("{config}  ProxyCommand false\n")).unwrap();
    let (code, text) = run(&sshd, &["hostkey", "show", "todo"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("shows no host key"), "{text}");
    assert!(text.contains(&sshd.fingerprint("other.pub")), "{text}");
    assert!(!text.contains("DOES NOT OFFER"), "nobody knows: {text}");
    let (code, text) = pin(&sshd, &sshd.fingerprint("host.pub"));
    assert_eq!(code, Some(1), "{text}");
    assert_eq!(known(&sshd), lines);
}

#[test]
fn a_repository_that_is_not_reached_by_ssh_has_no_host_key() {
    let Some(sshd) = Sshd::start() else { return };
    configure(&sshd, "file:///srv/git/todo.git");
    let (code, text) = run(&sshd, &["hostkey", "show", "todo"]);
    assert_eq!((code, text.contains("not reached by ssh")), (Some(1), true));
}

#[test]
fn rule_24_a_poll_that_meets_a_changed_key_fetches_nothing_and_names_keys_file_and_commands() {
    let Some((sshd, lines)) = changed() else {
        return;
    };
    let app = configure(&sshd, "forge:me/todo.git");
    let repository = Repository::new(&app, sshd.at("mirror.git"));
    let what = repository.poll(&[]).err().unwrap().what;
    for wanted in [
        sshd.fingerprint("host.pub"),
        sshd.fingerprint("other.pub"),
        "known_hosts, line 2".into(),
        "nothing was fetched".into(),
        "pp-fetcher hostkey show todo".into(),
        "pp-fetcher hostkey pin todo --fingerprint".into(),
    ] {
        assert!(what.contains(&wanted), "{wanted}\n{what}");
    }
    assert_eq!(known(&sshd), lines);
}

#[test]
fn rule_24_a_changed_key_is_met_once_and_not_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let count = dir.path().join("count");
    let body = format!(
        "echo x >>{}\necho '@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @' >&2\n\
         echo 'Host key verification failed.' >&2\nexit 255",
        count.display()
    );
    let options = fake_ssh(dir.path(), &body);
    let url = "forge:me/todo.git".parse().unwrap();
    let error = Remote::connect(&url, &options).err().unwrap();
    assert!(matches!(error, RemoteError::HostKeyChanged { .. }));
    assert_eq!(lines_of(&count), 1);
}

fn lines_of(path: &Path) -> usize {
    fs::read_to_string(path).unwrap().lines().count()
}
