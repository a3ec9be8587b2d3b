//! Rules 24 and 25 with ssh programs that misbehave: whatever they do, the deadline holds, the
//! cause is told, and nothing of their process group is left.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::git_support::{Forge, group_members, nothing_left};
use super::support;
use super::support::fake_ssh;
use crate::git::{RefSelector, Remote, RemoteError, RemoteOptions, RepositoryUrl};

/// Connects through a fake ssh that writes its group's number into `group`, and says how it ended.
fn ends(body: &str) -> (RemoteError, Duration) {
    let dir = tempfile::tempdir().unwrap();
    let group = dir.path().join("group");
    let script = format!("echo $$ >'{}'\n{body}", group.display());
    let mut options = fake_ssh(dir.path(), &script);
    options.deadline = Duration::from_millis(700);
    let begun = Instant::now();
    let error = list(&options).unwrap_err();
    let spent = begun.elapsed();
    nothing_left(fs::read_to_string(group).unwrap().trim().parse().unwrap());
    (error, spent)
}

fn list(options: &RemoteOptions) -> Result<(), RemoteError> {
    let url: RepositoryUrl = "forge:x.git".parse().unwrap();
    let mut remote = Remote::connect(&url, options)?;
    remote.list(&RefSelector::Branch("main".into()))?;
    Ok(())
}

fn at_the_deadline(body: &str) -> RemoteError {
    let (error, spent) = ends(body);
    assert!(matches!(error, RemoteError::TimedOut { .. }), "{error}");
    assert!(spent >= Duration::from_millis(700), "{spent:?}");
    assert!(spent < Duration::from_millis(1_500), "{spent:?}");
    error
}

#[test]
fn rule_25_an_ssh_that_never_answers_is_gone_at_the_deadline() {
    at_the_deadline("sleep 1000");
}

#[test]
fn rule_25_its_children_are_gone_too() {
    at_the_deadline("sleep 1000 & sleep 1000 & (sleep 1000 & sleep 1000) & wait");
}

#[test]
fn rule_25_ignoring_sigterm_sigint_and_sighup_helps_nobody() {
    at_the_deadline("trap '' TERM INT HUP; while :; do sleep 0.1; done");
}

#[test]
fn rule_25_one_that_stalls_half_way_through_a_packet_is_gone_at_the_deadline() {
    at_the_deadline("printf '000eversion'; exec sleep 1000");
}

#[test]
fn rule_25_one_that_answers_a_byte_at_a_time_is_gone_at_the_deadline() {
    at_the_deadline("printf 'fff0'; while :; do printf x; sleep 0.05; done");
}

#[test]
fn rule_25_one_that_talks_on_stderr_without_end_neither_blocks_nor_fills_memory() {
    let error = at_the_deadline("yes 'nothing to see' >&2");
    assert!(
        error.to_string().len() < 20_000,
        "{}",
        error.to_string().len()
    );
}

#[test]
fn rule_25_one_that_reads_nothing_is_gone_at_the_deadline() {
    // The greeting is right, then silence; the request itself fits into the pipe.
    at_the_deadline("printf '000eversion 2\\n000cls-refs\\n000afetch\\n0000'; exec sleep 1000");
}

#[test]
fn rule_25_what_stays_behind_when_ssh_ends_is_ended_too() {
    let (error, spent) = ends("sleep 1000 & echo 'Permission denied (publickey).' >&2; exit 255");
    assert!(matches!(error, RemoteError::Denied { .. }), "{error}");
    assert!(spent < Duration::from_millis(700), "{spent:?}");
}

#[test]
fn rule_25_dropping_a_conversation_ends_its_processes() {
    let dir = tempfile::tempdir().unwrap();
    let options = fake_ssh(
        dir.path(),
        "printf '000eversion 2\\n000cls-refs\\n000afetch\\n0000'; sleep 1000 & sleep 1000",
    );
    let url: RepositoryUrl = "forge:x.git".parse().unwrap();
    let mut remote = Remote::connect(&url, &options).unwrap();
    let group = remote.process_group();
    assert!(!group_members(group).is_empty());
    drop(remote);
    nothing_left(group);
}

/// The second process of the test below; by itself it does nothing.
#[test]
fn helper_that_hangs_on_an_ssh() {
    if let Some(dir) = std::env::var_os("PP_TEST_HANGS_IN") {
        let group = Path::new(&dir).join("group");
        let options = fake_ssh(
            Path::new(&dir),
            &format!("echo $$ >'{}'; exec sleep 60", group.display()),
        );
        let _ = list(&options);
    }
}

#[test]
fn rule_25_an_ssh_ends_with_us_even_if_we_are_killed() {
    if !Path::new("/usr/bin/setpriv").exists() {
        eprintln!("SKIPPED: /usr/bin/setpriv is missing; install util-linux");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut us = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "inside::git_ssh::helper_that_hangs_on_an_ssh"])
        .env("PP_TEST_HANGS_IN", dir.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let group = dir.path().join("group");
    let number = || fs::read_to_string(&group).ok()?.trim().parse::<u32>().ok();
    let until = Instant::now() + Duration::from_secs(10);
    while number().is_none() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    let number = number().unwrap();
    assert!(!group_members(number).is_empty(), "it hangs");
    us.kill().unwrap();
    us.wait().unwrap();
    nothing_left(number);
}

#[test]
fn each_failure_of_ssh_has_its_own_reason() {
    for (body, reason) in [
        (
            "echo 'Host key verification failed.' >&2; exit 255",
            "host-key-unknown",
        ),
        (
            "echo 'git@h: Permission denied (publickey).' >&2; exit 255",
            "permission-denied",
        ),
        (
            "echo 'ssh: Could not resolve hostname x: No' >&2; exit 255",
            "name-not-resolved",
        ),
        (
            "echo 'ssh: connect to host h port 22: Connection refused' >&2; exit 255",
            "unreachable",
        ),
        (
            "echo 'ERROR: Repository not found.' >&2; exit 1",
            "no-repository",
        ),
        (
            "printf '0023ERR Repository not found: a/b.\\n'",
            "no-repository",
        ),
        (
            "echo 'This account is currently not available.'; exit 1",
            "protocol",
        ),
        ("echo 'disk quota exceeded' >&2; exit 1", "server-error"),
        ("exit 0", "protocol"),
        ("kill -9 $$", "protocol"),
    ] {
        let (error, spent) = ends(body);
        assert_eq!(error.reason(), reason, "{body}: {error}");
        assert!(error.to_string().starts_with("forge:x.git: "), "{error}");
        assert!(spent < Duration::from_millis(700), "{body}: {spent:?}");
    }
}

#[test]
fn rule_19_what_ssh_says_cannot_move_the_cursor() {
    let (error, _) = ends("printf '\\033[2Jgone\\007\\n' >&2; exit 1");
    assert!(
        !error.to_string().chars().any(char::is_control),
        "{error:?}"
    );
}

#[test]
fn a_missing_ssh_is_said_clearly() {
    let mut options = RemoteOptions::default();
    options.ssh.program = "/nowhere/ssh".into();
    let error = list(&options).unwrap_err();
    assert!(
        error.to_string().contains("install openssh-client"),
        "{error}"
    );
}

/// A fake ssh that serves the repository with git itself, and notes how it was called.
fn serving(dir: &Path, forge: &Forge, environment: &str) -> RemoteOptions {
    let body = format!(
        "env >'{0}/env'; printf '%s\\n' \"$@\" >'{0}/args'\n{environment} exec git upload-pack '{1}'",
        dir.display(),
        forge.repo().display(),
    );
    fake_ssh(dir, &body)
}

#[test]
fn rule_33_ssh_gets_an_environment_of_a_few_names_only() {
    let forge = Forge::new();
    let dir = tempfile::tempdir().unwrap();
    let mut options = serving(dir.path(), &forge, "");
    list(&options).unwrap();
    let read = || fs::read_to_string(dir.path().join("env")).unwrap();
    let mut names: Vec<_> = read()
        .lines()
        .map(|l| l.split('=').next().unwrap().to_owned())
        .collect();
    // What sh itself sets.
    names.retain(|name| !["PWD", "SHLVL", "_", "OLDPWD"].contains(&name.as_str()));
    names.sort();
    assert_eq!(names, ["GIT_PROTOCOL", "HOME", "LANG", "PATH"]);
    options.ssh.agent = Some("/run/agent.sock".into());
    list(&options).unwrap();
    assert!(read().contains("SSH_AUTH_SOCK=/run/agent.sock\n"));
}

#[test]
fn a_server_that_speaks_only_version_0_is_listed_and_fetched_from() {
    let forge = Forge::new();
    forge.git(&["tag", "-a", "-m", "one", "v1.0.0"]);
    let dir = tempfile::tempdir().unwrap();
    let options = serving(dir.path(), &forge, "GIT_PROTOCOL=");
    let url: RepositoryUrl = "forge:x.git".parse().unwrap();
    let mirror = forge.mirror();
    for round in 0..3 {
        let wanted = RefSelector::Branch("main".into());
        let mut remote = Remote::connect(&url, &options).unwrap();
        let revision = wanted.resolve(&remote.list(&wanted).unwrap()).unwrap();
        let fetched = support::fetch(&mut remote, &mirror, &revision, &mut |_| {}).unwrap();
        assert!(mirror.contains(fetched.commit));
        assert_eq!(fetched.objects, 3, "round {round}: only what is new");
        forge.commit("app.py", &format!("print({round})\n"), "next");
    }
    let wanted = RefSelector::TagGlob("v*".into());
    let mut remote = Remote::connect(&url, &options).unwrap();
    let tag = wanted.resolve(&remote.list(&wanted).unwrap()).unwrap();
    assert_ne!(tag.id, tag.commit, "peeled by the advertisement");
    let gone = RefSelector::Branch("gone".into());
    let mut remote = Remote::connect(&url, &options).unwrap();
    let error = gone.resolve(&remote.list(&gone).unwrap()).unwrap_err();
    assert!(error.to_string().contains("there are: main"), "{error}");
    let empty = Forge::empty();
    let options = serving(dir.path(), &empty, "GIT_PROTOCOL=");
    let mut remote = Remote::connect(&url, &options).unwrap();
    assert!(remote.list(&wanted).unwrap().refs.is_empty());
}
