//! Rules 1, 4 and 11: who is asking, and what those learn who may not.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

mod common;

use common::{Rig, client_as, is_root, me, mine, policy, unit};
use pp_protocol::codec::{encode_request, frame};
use pp_protocol::{Answer, Ask, Request, VERSION, Verb};
use pp_restarter::front::request::DENIED;
use pp_restarter::policy::Who;

const STRANGER: u32 = 61_001;
const GROUP: u32 = 61_900;

fn act(unit: &str) -> Vec<u8> {
    let ask = Ask::Act {
        verb: Verb::Restart,
        unit: unit.into(),
    };
    let version = VERSION;
    frame(encode_request(&Request { version, ask }).unwrap())
        .unwrap()
        .to_vec()
}

#[test]
fn who_is_allowed_gets_what_was_asked_for_and_once() {
    let rig = Rig::new(mine(&["todo.service"]));
    let answer = rig.client().act(Verb::Restart, &unit("todo.service"));
    assert!(matches!(answer.unwrap(), Answer::Finished(report) if report.main_pid == 4711));
    assert_eq!(
        *rig.fake.acts.lock().unwrap(),
        [(Verb::Restart, "todo.service".to_owned())]
    );
    let grants = rig.client().list().unwrap();
    assert_eq!(
        (grants.len(), grants[0].unit.as_str(), grants[0].burst),
        (1, "todo.service", 3)
    );
}

#[test]
fn rule_1_a_stranger_is_refused_though_the_socket_lets_everybody_in() {
    if !is_root("rule 1") {
        return;
    }
    let rig = Rig::new(mine(&["todo.service"]));
    let out = client_as(STRANGER, STRANGER, "", &rig.path(), &["todo.service"]);
    assert_eq!(out.status.code(), Some(3), "{out:?}");
    let out = client_as(STRANGER, STRANGER, "", &rig.path(), &["--list"]);
    assert_eq!(
        (out.status.code(), out.stdout.len()),
        (Some(3), 0),
        "{out:?}"
    );
    assert_eq!(rig.fake.count(), 0);
}

#[test]
fn rule_1_a_group_counts_as_supplementary_group_and_the_effective_one_alone_does_not() {
    if !is_root("rule 1") {
        return;
    }
    let rig = Rig::new(policy(&["todo.service"], &[Who::Group(GROUP)]));
    let others: Vec<String> = (62_000..62_000 + 31)
        .map(|gid: u32| gid.to_string())
        .collect();
    let many = format!("{},{GROUP}", others.join(","));
    for (gid, groups, code) in [
        // As a login has it, and as a setgid copy of the client would: only the effective group.
        (GROUP, "61900", 0),
        (GROUP, "", 3),
        (GROUP, "61901", 3),
        (STRANGER, "61900", 0),
        (STRANGER, many.as_str(), 0),
        (STRANGER, "61901", 3),
        (STRANGER, "", 3),
    ] {
        let out = client_as(STRANGER, gid, groups, &rig.path(), &["todo.service"]);
        assert_eq!(out.status.code(), Some(code), "{gid} {groups} {out:?}");
    }
    assert_eq!(rig.fake.count(), 3);
}

#[test]
fn rule_1_whose_groups_cannot_all_be_read_is_refused() {
    if !is_root("rule 1") {
        return;
    }
    let rig = Rig::new(policy(&["todo.service"], &[Who::Group(GROUP)]));
    for (count, code) in [(63, 0), (64, 3)] {
        let others: Vec<String> = (62_000..62_000 + count)
            .map(|gid: u32| gid.to_string())
            .collect();
        let groups = format!("{},{GROUP}", others.join(","));
        let out = client_as(STRANGER, STRANGER, &groups, &rig.path(), &["todo.service"]);
        assert_eq!(
            out.status.code(),
            Some(code),
            "{count} other groups: {out:?}"
        );
        let told = String::from_utf8_lossy(&out.stderr).contains("is in 65 supplementary groups");
        assert_eq!(told, code == 3, "{out:?}");
    }
}

#[test]
fn rule_1_credentials_that_cannot_be_read_are_no_credentials() {
    let no_socket = std::fs::File::open("/dev/null").unwrap();
    assert!(pp_restarter::front::peer::caller(&no_socket).is_err());
}

#[test]
fn rule_4_the_client_says_nothing_to_a_server_that_is_not_root() {
    if !is_root("rule 4") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(
        dir.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o777),
    )
    .unwrap();
    let path = dir.path().join("s");
    let mut impostor = std::process::Command::new("setpriv")
        .args(["--reuid=61001", "--regid=61001", "--clear-groups", "timeout", "20"])
        .args(["perl", "-MIO::Socket::UNIX", "-e"])
        .arg("my $l = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1) or die; $| = 1; print \"up\\n\"; my $c = $l->accept; sysread($c, my $b, 100); print length($b), \"\\n\"")
        .arg(&path)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = std::io::BufReader::new(impostor.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    let out = client_as(0, 0, "", &path, &["todo.service"]);
    assert_eq!(out.status.code(), Some(5), "{out:?}");
    assert!(
        String::from_utf8_lossy(&out.stderr).contains("uid 61001"),
        "{out:?}"
    );
    line.clear();
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    assert_eq!(line, "0\n", "not one byte was sent");
    impostor.wait().unwrap();
}

#[test]
fn rule_11_all_denials_are_the_same_bytes() {
    // Listed for somebody else, not listed, malformed, hostile: no difference to be seen.
    let rig = Rig::new(policy(&["todo.service"], &[Who::User(me() + 1)]));
    let long = "a".repeat(255);
    for name in [
        "todo.service",
        "nosuch.service",
        "ssh.service",
        "",
        "*",
        "todo.service\n",
        "a\0b",
        "../x",
        &long,
    ] {
        assert_eq!(rig.raw(&act(name)), DENIED, "{name:?}");
    }
    let version = VERSION;
    let list = frame(
        encode_request(&Request {
            version,
            ask: Ask::List,
        })
        .unwrap(),
    )
    .unwrap();
    assert_eq!(rig.raw(&list), DENIED);
    assert_eq!(rig.fake.count(), 0);
}

#[test]
fn who_may_do_one_thing_is_denied_every_other_in_the_same_bytes() {
    let mut policy = mine(&["todo.service"]);
    policy
        .units
        .extend(common::policy(&["other.service"], &[Who::User(me() + 1)]).units);
    let rig = Rig::new(policy);
    for name in ["other.service", "nosuch.service", "TODO.service"] {
        assert_eq!(rig.raw(&act(name)), DENIED, "{name:?}");
    }
    let reload = rig.client().act(Verb::Reload, &unit("todo.service"));
    assert_eq!(reload.unwrap(), Answer::Denied);
}

#[test]
fn a_reader_that_has_left_is_no_crash() {
    if !is_root("a reader that has left") {
        return;
    }
    let rig = Rig::new(mine(&["todo.service"]));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    for arguments in [
        &["--list"][..],
        &["--json", "todo.service"],
        &["todo.service"],
    ] {
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_pp-restart"))
            .arg(format!("--socket={}", rig.path().display()))
            .args(arguments)
            .stdout(writer.try_clone().unwrap())
            .stderr(writer.try_clone().unwrap())
            .status()
            .unwrap();
        assert_eq!(out.code(), Some(0), "{arguments:?}");
    }
}
