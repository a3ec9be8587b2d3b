//! Against a real sshd with a real OpenSSH client: alias, key, pinned host key, and each refusal.

use std::fs;

use super::git_support::agent::Agent;
use super::git_support::sshd::Sshd;
use super::git_support::{Forge, nothing_left};
use super::support;
use crate::git::wire::Version;
use crate::git::{RefSelector, Remote, RemoteError};

#[test]
fn a_deploy_key_an_alias_and_a_pinned_host_key_fetch_a_branch_in_version_2() {
    let Some(sshd) = Sshd::start() else { return };
    let forge = Forge::new();
    let tip = forge.commit("b", "b\n", "two");
    let url = sshd.url(&forge.repo());
    let wanted = RefSelector::Branch("main".into());
    let mut remote = Remote::connect(&url, &sshd.options()).unwrap();
    assert_eq!(
        remote.version(),
        Version::V2,
        "GIT_PROTOCOL reached the server"
    );
    let group = remote.process_group();
    let revision = wanted.resolve(&remote.list(&wanted).unwrap()).unwrap();
    let fetched = support::fetch(&mut remote, &forge.mirror(), &revision, &mut |_| {}).unwrap();
    assert_eq!(fetched.commit, tip);
    drop(remote);
    nothing_left(group);
}

#[test]
fn the_agent_is_used_when_it_is_named_and_only_then() {
    let Some(sshd) = Sshd::start() else { return };
    let forge = Forge::new();
    let agent = Agent::with(sshd.dir.path(), &[&sshd.at("user")]);
    let mut options = sshd.options();
    options.ssh.identity = None;
    let without = Remote::connect(&sshd.url(&forge.repo()), &options).err();
    options.ssh.agent = Some(agent.socket.clone());
    let with = Remote::connect(&sshd.url(&forge.repo()), &options);
    assert!(with.is_ok());
    assert!(
        matches!(without, Some(RemoteError::Denied { .. })),
        "{without:?}"
    );
}

#[test]
fn rule_24_an_unknown_host_is_not_trusted_on_first_sight() {
    let Some(sshd) = Sshd::start() else { return };
    let forge = Forge::new();
    fs::write(sshd.at("known_hosts"), "").unwrap();
    let error = refused(&sshd, &forge);
    assert!(
        matches!(error, RemoteError::HostKeyUnknown { .. }),
        "{error}"
    );
    assert_eq!(
        fs::read(sshd.at("known_hosts")).unwrap(),
        b"",
        "nothing was pinned"
    );
}

#[test]
fn a_configuration_file_cannot_weaken_the_host_key_check() {
    let Some(sshd) = Sshd::start() else { return };
    let forge = Forge::new();
    fs::write(sshd.at("known_hosts"), "").unwrap();
    let config = fs::read_to_string(sshd.at("ssh_config")).unwrap();
    let lax = format!("StrictHostKeyChecking no\nLogLevel QUIET\n{config}");
    fs::write(sshd.at("ssh_config"), lax).unwrap();
    let error = refused(&sshd, &forge);
    assert!(
        matches!(error, RemoteError::HostKeyUnknown { .. }),
        "{error}"
    );
}

#[test]
fn a_key_the_server_does_not_know_a_repository_it_does_not_have_and_a_closed_port() {
    let Some(sshd) = Sshd::start() else { return };
    let forge = Forge::new();
    let mut options = sshd.options();
    sshd.new_key("stranger");
    options.ssh.identity = Some(sshd.at("stranger"));
    let error = Remote::connect(&sshd.url(&forge.repo()), &options)
        .err()
        .unwrap();
    assert_eq!(error.reason(), "permission-denied", "{error}");
    let gone = sshd.url("/nowhere/x.git".as_ref());
    let error = Remote::connect(&gone, &sshd.options()).err().unwrap();
    assert_eq!(error.reason(), "no-repository", "{error}");
    let url = "ssh://127.0.0.1:1/x".parse().unwrap();
    let error = Remote::connect(&url, &sshd.options()).err().unwrap();
    assert_eq!(error.reason(), "unreachable", "{error}");
    let url = "ssh://no-such-host.invalid/x".parse().unwrap();
    let error = Remote::connect(&url, &sshd.options()).err().unwrap();
    assert_eq!(error.reason(), "name-not-resolved", "{error}");
}

/// Why a connection to the repository of `forge` is refused.
fn refused(sshd: &Sshd, forge: &Forge) -> RemoteError {
    let refused = Remote::connect(&sshd.url(&forge.repo()), &sshd.options());
    refused.err().unwrap()
}
