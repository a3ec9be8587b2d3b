//! pp-fetcher run by root: it becomes the user of the apps before it does anything (rule 35).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod site;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;

use site::{Said, Site};

/// Whom the directories of the tests belong to.
const NOBODY: u32 = 65534;

/// A host with one live release, whose state is nobody's, and the program as root; `None` where we are not root.
fn site(test: &str) -> Option<Site> {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: {test} needs root");
        return None;
    }
    let site = Site::with_one_live();
    let state = site.home.path().join("state");
    std::os::unix::fs::chown(state, Some(NOBODY), Some(NOBODY)).unwrap();
    Some(site)
}

fn as_root(site: &Site, arguments: &[&str]) -> Said {
    let mut command = Command::new(site.home.path().join("pp-fetcher"));
    command
        .args(arguments)
        .arg("--config")
        .arg(site.home.path());
    command.arg("--state").arg(site.home.path().join("state"));
    command.output().unwrap().into()
}

#[test]
fn a_state_of_somebody_elses_is_changed_by_the_same_command_as_root() {
    let Some(site) = site("becoming the apps' user") else {
        return;
    };
    let owner = |path: &Path| fs::metadata(path).unwrap().uid();
    as_root(&site, &["pause", "todo", "--reason", "exams"]).ended(0);
    as_root(&site, &["status"])
        .ended(0)
        .has(&["paused", "exams"]);
    as_root(&site, &["resume", "todo"]).ended(0);
    site.push("two", "200", "touch made_by_the_build");
    as_root(&site, &["poll", "todo"]).ended(0).has(&["is live"]);
    assert_eq!(site.served().as_deref(), Some("two"));
    let made = site.root().join("current/made_by_the_build");
    for path in [site.state_path("state.json"), site.state_path("lock"), made] {
        assert_eq!(owner(&path), NOBODY, "{path:?}");
    }
    as_root(&site, &["history", "todo"]).ended(0).has(&["two"]);
    as_root(&site, &["logs", "todo"]).ended(0);
    as_root(&site, &["rollback", "todo"]).ended(0);
}

#[test]
fn rule_35_what_the_apps_user_puts_in_the_states_place_is_of_no_use_to_it() {
    let Some(site) = site("the state of another user") else {
        return;
    };
    let secret = site.home.path().join("secret");
    fs::write(&secret, "{\"schema\":1,\"word\":\"secret\"}\n").unwrap();
    fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let commands: [&[&str]; 6] = [
        &["status"],
        &["history", "todo"],
        &["logs", "todo", "1"],
        &["pause", "todo", "--reason", "x"],
        &["resume", "todo"],
        &["retry", "todo"],
    ];
    for name in [
        "state.json",
        "history.jsonl",
        "lock",
        "logs/1.log",
        "under_way.json",
        "logs",
    ] {
        let path = site.state_path(name);
        let aside = site.home.path().join("aside");
        let there = fs::rename(&path, &aside).is_ok();
        for spoil in ["link", "fifo", "giant", "new"] {
            match spoil {
                "link" => symlink(&secret, &path).unwrap(),
                "fifo" => assert!(
                    Command::new("mkfifo")
                        .arg(&path)
                        .status()
                        .unwrap()
                        .success()
                ),
                "giant" => fs::File::create(&path).unwrap().set_len(20 << 30).unwrap(),
                // A link to what is not there yet: nothing is made through it.
                _ => symlink(site.home.path().join("made"), &path).unwrap(),
            }
            std::os::unix::fs::lchown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
            for command in commands {
                let said = as_root(&site, command);
                assert!(said.code.is_some(), "{name} {spoil} {command:?}: {said:?}");
                assert!(
                    !said.text.contains("secret\""),
                    "{name} {spoil} {command:?}: {said:?}"
                );
                assert!(said.text.len() < 100_000_000, "{name} {spoil} {command:?}");
            }
            assert!(!site.home.path().join("made").exists(), "{name} {spoil}");
            assert_eq!(
                fs::read_to_string(&secret).unwrap().len(),
                29,
                "{name} {spoil}"
            );
            if fs::remove_file(&path).is_err() {
                let _ = fs::remove_dir_all(&path);
            }
        }
        if there {
            fs::rename(&aside, &path).unwrap();
        }
    }
    as_root(&site, &["status"]).ended(0);
}

#[test]
fn rule_35_a_log_is_made_through_nothing_that_was_put_in_its_place() {
    let Some(site) = site("the log of another user") else {
        return;
    };
    let secret = site.home.path().join("secret");
    fs::write(&secret, "secret\n").unwrap();
    fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    site.push("two", "200", "echo built; exit 1");
    for spoil in ["fifo", "link", "directory"] {
        let text = fs::read_to_string(site.state_path("state.json")).unwrap();
        let state: serde_json::Value = serde_json::from_str(&text).unwrap();
        let log = site.state_path(&format!("logs/{}.log", state["next_attempt"]));
        match spoil {
            "fifo" => assert!(Command::new("mkfifo").arg(&log).status().unwrap().success()),
            "link" => symlink(&secret, &log).unwrap(),
            _ => fs::create_dir(&log).unwrap(),
        }
        std::os::unix::fs::lchown(&log, Some(NOBODY), Some(NOBODY)).unwrap();
        let said = as_root(&site, &["poll", "todo", "--force"]);
        said.ended(1).has(&["its log"]);
        assert_eq!(fs::read_to_string(&secret).unwrap(), "secret\n", "{spoil}");
        assert_eq!(site.served().as_deref(), Some("one"), "{spoil}");
    }
    // And as it should be, it is the group's to read and nobody else's to write.
    as_root(&site, &["poll", "todo", "--force"])
        .ended(1)
        .has(&["built"]);
    let logs = fs::read_dir(site.state_path("logs")).unwrap().flatten();
    let modes: Vec<_> = logs
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| entry.metadata().unwrap().mode() & 0o7777)
        .collect();
    assert!(
        !modes.is_empty() && modes.iter().all(|mode| *mode == 0o640),
        "{modes:?}"
    );
}

#[test]
fn rule_35_nothing_that_root_has_open_or_may_do_reaches_a_script() {
    let Some(site) = site("root's descriptors") else {
        return;
    };
    let secret = site.home.path().join("secret");
    fs::write(&secret, "TOPSECRET\n").unwrap();
    fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let build = "ls -l /proc/self/fd; cat <&9; grep -E '^(NoNewPrivs|CapBnd|CapEff|Groups)' /proc/self/status; exit 1";
    site.push("two", "200", build);
    let line = format!(
        "exec 9<{}; {} poll todo --config {} --state {}",
        secret.display(),
        site.home.path().join("pp-fetcher").display(),
        site.home.path().display(),
        site.home.path().join("state").display()
    );
    let said: Said = Command::new("sh")
        .args(["-c", &line])
        .output()
        .unwrap()
        .into();
    said.ended(1);
    let logs = as_root(&site, &["logs", "todo"]);
    logs.has(&[
        "NoNewPrivs:     1",
        "CapBnd: 0000000000000000",
        "CapEff: 0000000000000000",
    ]);
    assert!(!logs.text.contains("TOPSECRET"), "{logs:?}");
}

#[test]
fn rule_36_what_is_stored_and_logged_is_cleaned_where_it_is_shown() {
    let Some(site) = site("root's terminal") else {
        return;
    };
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}[31m\n#9 good\u{202e}\u{9b}31m";
    as_root(&site, &["pause", "todo", "--reason", evil]).ended(0);
    let history = site.state_path("history.jsonl");
    let text = fs::read_to_string(&history).unwrap();
    let spoilt = text.lines().map(|line| {
        let mut attempt: serde_json::Value = serde_json::from_str(line).unwrap();
        attempt["author"] = format!("{evil}Ada").into();
        format!("{attempt}\n")
    });
    fs::write(&history, spoilt.collect::<String>()).unwrap();
    fs::write(site.state_path("logs/1.log"), format!("{evil}built\n")).unwrap();
    for command in [
        &["status"][..],
        &["status", "--json"],
        &["history", "todo"],
        &["history", "todo", "--json"],
        &["logs", "todo", "1"],
    ] {
        let said = as_root(&site, command);
        let is_log = command.first() == Some(&"logs");
        assert!(
            is_log || !said.text.contains("\n#9 good"),
            "no line is added: {said:?}"
        );
        let acts = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!said.text.contains(acts), "{command:?}: {said:?}");
        // Where there is colour it is ours alone.
        let coloured = as_root(&site, &[&["--color", "always"], command].concat());
        assert!(
            !coloured.text.contains("\u{1b}[2J") && !coloured.text.contains("[31m\u{1b}"),
            "{coloured:?}"
        );
        let ours = ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[0m"];
        let without = ours
            .iter()
            .fold(coloured.text.clone(), |text, ours| text.replace(ours, ""));
        assert!(!without.contains('\u{1b}'), "{command:?}: {coloured:?}");
    }
}

#[test]
fn without_a_user_of_the_apps_root_is_told_to_name_one() {
    let Some(site) = site("root") else { return };
    let mut command = Command::new(site.home.path().join("pp-fetcher"));
    let nowhere = site.home.path().join("nowhere");
    command
        .arg("status")
        .arg("--config")
        .arg(site.home.path())
        .arg("--state")
        .arg(&nowhere);
    let known = nix::unistd::User::from_name("gunicorn").unwrap().is_some();
    let said: Said = command.output().unwrap().into();
    if !known {
        said.ended(2)
            .has(&["there is no user gunicorn", "--user USER"]);
    }
    let named = as_root(&site, &["status", "--user", "nosuchuser"]);
    named.ended(2).has(&["there is no user nosuchuser"]);
    as_root(&site, &["status", "--user", "root"]).ended(2);
}
