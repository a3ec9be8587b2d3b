//! The ways people reach a forge by ssh, against real sshds: certificates, agents, a key for each
//! repository of one host, aliases, other ports, jump hosts.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::git_support::agent::Agent;
use super::git_support::sshd::{Sshd, fingerprint_of, keygen};
use super::git_support::{Forge, group_members, nothing_left};
use crate::git::{RefSelector, Remote, RemoteError, RemoteOptions, RepositoryUrl};

/// Connects, lists main, and gives its commit.
fn tip(url: &RepositoryUrl, options: &RemoteOptions) -> Result<String, RemoteError> {
    let wanted = RefSelector::Branch("main".into());
    let mut remote = Remote::connect(url, options)?;
    let listed = remote.list(&wanted)?;
    Ok(wanted.resolve(&listed).unwrap().commit.to_string())
}

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Signs the public half of `key` with `authority`, for the login of whoever runs the tests.
fn certify(authority: &Path, key: &Path, validity: &str) {
    let public = key.with_extension("pub");
    run(
        "ssh-keygen",
        &[
            "-q",
            "-s",
            authority.to_str().unwrap(),
            "-I",
            "a deploy key",
            "-n",
            &run("id", &["-un"]),
            "-V",
            validity,
            public.to_str().unwrap(),
        ],
    );
}

#[test]
fn a_user_certificate_beside_the_identity_is_shown_and_a_key_without_one_does_nothing() {
    let trusted = |dir: &Path| {
        keygen(&dir.join("ca"));
        let ca = dir.join("ca.pub");
        format!(
            "TrustedUserCAKeys {}\nAuthorizedKeysFile none\n",
            ca.display()
        )
    };
    let Some(sshd) = Sshd::start_as(&[], trusted) else {
        return;
    };
    let forge = Forge::new();
    let url = sshd.url(&forge.repo());
    let error = tip(&url, &sshd.options()).unwrap_err();
    assert_eq!(error.reason(), "permission-denied", "{error}");
    certify(&sshd.at("ca"), &sshd.at("user"), "20200101:20210101");
    let error = tip(&url, &sshd.options()).unwrap_err();
    assert_eq!(
        error.reason(),
        "permission-denied",
        "it has expired: {error}"
    );
    certify(&sshd.at("ca"), &sshd.at("user"), "-1d:+1d");
    tip(&url, &sshd.options()).unwrap();
}

#[test]
fn a_host_certificate_counts_for_the_name_it_is_for() {
    let certified = |name: &'static str| {
        move |dir: &Path| {
            let at = |file: &str| dir.join(file).to_str().unwrap().to_owned();
            keygen(&dir.join("ca"));
            let (ca, host) = (at("ca"), at("host.pub"));
            let args = ["-q", "-s", &ca, "-I", "forge", "-h", "-n", name, &host];
            run("ssh-keygen", &args);
            format!("HostCertificate {}\n", at("host-cert.pub"))
        }
    };
    let forge = Forge::new();
    let Some(sshd) = Sshd::start_as(&[], certified("127.0.0.1")) else {
        return;
    };
    let trust = |sshd: &Sshd| {
        let ca = fs::read_to_string(sshd.at("ca.pub")).unwrap();
        let line = format!("@cert-authority [127.0.0.1]:{} {ca}", sshd.port);
        fs::write(sshd.at("known_hosts"), line).unwrap();
    };
    trust(&sshd);
    tip(&sshd.url(&forge.repo()), &sshd.options()).unwrap();
    let other = Sshd::start_as(&[], certified("elsewhere.example")).unwrap();
    trust(&other);
    let error = tip(&other.url(&forge.repo()), &other.options()).unwrap_err();
    assert_eq!(error.reason(), "host-key-unknown", "{error}");
}

#[test]
fn a_key_that_only_the_agent_holds_is_chosen_by_its_public_half() {
    let Some(sshd) = Sshd::start() else { return };
    let forge = Forge::new();
    let url = sshd.url(&forge.repo());
    for n in 0..7 {
        sshd.new_key(&format!("other{n}"));
    }
    let others: Vec<_> = (0..7).map(|n| sshd.at(&format!("other{n}"))).collect();
    let mut keys: Vec<&Path> = others.iter().map(PathBuf::as_path).collect();
    let user = sshd.at("user");
    keys.push(&user);
    let agent = Agent::with(sshd.dir.path(), &keys);
    fs::remove_file(&user).unwrap();
    let mut options = sshd.options();
    options.ssh.agent = Some(agent.socket.clone());
    options.ssh.identity = None;
    let error = tip(&url, &options).unwrap_err();
    assert_eq!(error.reason(), "permission-denied", "too many: {error}");
    options.ssh.identity = Some(sshd.at("user.pub"));
    tip(&url, &options).unwrap();
}

/// A server on which each of two keys may read one repository, whatever it asks for.
fn with_deploy_keys(one: &Forge, two: &Forge) -> Option<Sshd> {
    let sshd = Sshd::start_as(&[], |_| "LogLevel VERBOSE\n".into())?;
    let mut lines = String::new();
    for (key, forge) in [("one", one), ("two", two)] {
        sshd.new_key(key);
        let public = fs::read_to_string(sshd.at(&format!("{key}.pub"))).unwrap();
        let path = forge.repo().display().to_string();
        lines += &format!("restrict,command=\"git-upload-pack '{path}'\" {public}");
    }
    fs::write(sshd.at("authorized_keys"), lines).unwrap();
    Some(sshd)
}

#[test]
fn two_apps_with_a_deploy_key_each_on_one_host_never_show_each_others() {
    let (one, two) = (Forge::new(), Forge::new());
    let tips = [one.commit("a", "1", "one"), two.commit("a", "2", "two")];
    let Some(sshd) = with_deploy_keys(&one, &two) else {
        return;
    };
    let (key_one, key_two) = (sshd.at("one"), sshd.at("two"));
    // Both are in the agent, the wrong one first: that the identity is set decides.
    let agent = Agent::with(sshd.dir.path(), &[&key_two, &key_one]);
    for (key, tip_of) in [(&key_one, tips[0]), (&key_two, tips[1])] {
        for agent in [None, Some(agent.socket.clone())] {
            let mut options = sshd.options();
            options.ssh.identity = Some(key.clone());
            options.ssh.agent = agent;
            let logged = sshd.log().len();
            let found = tip(&sshd.url("any.git".as_ref()), &options).unwrap();
            assert_eq!(found, tip_of.to_string());
            let log = sshd.log().split_off(logged);
            let other = if key == &key_one { &key_two } else { &key_one };
            assert!(log.contains(&fingerprint_of(key)), "{log}");
            assert!(!log.contains(&fingerprint_of(other)), "{log}");
        }
    }
    // A key that is gone from the forge is refused: no other steps in.
    let lines = fs::read_to_string(sshd.at("authorized_keys")).unwrap();
    let rest = lines.lines().skip(1).collect::<Vec<_>>().join("\n") + "\n";
    fs::write(sshd.at("authorized_keys"), rest).unwrap();
    let mut options = sshd.options();
    options.ssh.identity = Some(key_one);
    options.ssh.agent = Some(agent.socket.clone());
    let error = tip(&sshd.url("any.git".as_ref()), &options).unwrap_err();
    assert_eq!(error.reason(), "permission-denied", "{error}");
}

#[test]
fn an_alias_for_each_repository_in_ssh_config_brings_its_own_key() {
    let (one, two) = (Forge::new(), Forge::new());
    let tips = [one.commit("a", "1", "one"), two.commit("a", "2", "two")];
    let Some(sshd) = with_deploy_keys(&one, &two) else {
        return;
    };
    let config: String = ["one", "two"]
        .map(|name| {
            format!(
                "Host forge-repo-{name}\n  Hostname 127.0.0.1\n  Port {}\n  IdentityFile {}\n  \
                 IdentitiesOnly yes\n",
                sshd.port,
                sshd.at(name).display()
            )
        })
        .concat();
    fs::write(sshd.at("ssh_config"), config).unwrap();
    let mut options = sshd.options();
    options.ssh.identity = None;
    for (name, tip_of) in [("one", tips[0]), ("two", tips[1])] {
        let url = format!("forge-repo-{name}:me/x.git").parse().unwrap();
        assert_eq!(tip(&url, &options).unwrap(), tip_of.to_string());
    }
}

#[test]
fn another_port_is_in_the_address() {
    let Some(sshd) = Sshd::start() else { return };
    let forge = Forge::new();
    let mut options = sshd.options();
    options.ssh.config = Some("/dev/null".into());
    let path = forge.repo().display().to_string();
    let url = format!("ssh://127.0.0.1:{}{path}", sshd.port);
    tip(&url.parse().unwrap(), &options).unwrap();
}

/// A forge behind a jump host, each with a host key and a user key of its own; the jump host is at
/// `port` of this machine. Known hosts and keys of the jump host are its block's, as ssh has it.
fn behind(forge: &Sshd, jump: &Sshd, port: u16) -> RemoteOptions {
    let config = format!(
        "Host jump\n  Hostname 127.0.0.1\n  Port {port}\n  IdentityFile {key}\n  \
         UserKnownHostsFile {known}\nHost forge\n  Hostname 127.0.0.1\n  Port {to}\n  ProxyJump jump\n",
        key = jump.at("user").display(),
        known = jump.at("known_hosts").display(),
        to = forge.port,
    );
    fs::write(forge.at("ssh_config"), config).unwrap();
    forge.options()
}

#[test]
fn a_forge_behind_a_jump_host_is_reached_and_nothing_is_left_of_either_ssh() {
    let (Some(sshd), Some(jump)) = (Sshd::start(), Sshd::start()) else {
        return;
    };
    let forge = Forge::new();
    let options = behind(&sshd, &jump, jump.port);
    let url = sshd.url(&forge.repo());
    let mut remote = Remote::connect(&url, &options).unwrap();
    let group = remote.process_group();
    let members = group_members(group);
    assert!(members.len() >= 2, "both are of the group: {members:?}");
    remote.list(&RefSelector::Branch("main".into())).unwrap();
    drop(remote);
    nothing_left(group);
    assert!(jump.log().contains("Accepted publickey"), "{}", jump.log());
}

#[test]
fn what_is_wrong_with_a_jump_host_is_told() {
    let (Some(sshd), Some(jump)) = (Sshd::start(), Sshd::start()) else {
        return;
    };
    let forge = Forge::new();
    let url = sshd.url(&forge.repo());
    let options = behind(&sshd, &jump, jump.port);
    let keys = fs::read(jump.at("authorized_keys")).unwrap();
    fs::write(jump.at("authorized_keys"), "").unwrap();
    let error = tip(&url, &options).unwrap_err();
    assert_eq!(error.reason(), "permission-denied", "{error}");
    fs::write(jump.at("authorized_keys"), keys).unwrap();
    let known = fs::read(jump.at("known_hosts")).unwrap();
    fs::write(jump.at("known_hosts"), "").unwrap();
    let error = tip(&url, &options).unwrap_err();
    assert_eq!(error.reason(), "host-key-unknown", "{error}");
    assert!(error.to_string().contains("jump host"), "{error}");
    jump.new_key("other");
    jump.pin("other.pub");
    let error = tip(&url, &options).unwrap_err();
    assert_eq!(error.reason(), "host-key-changed", "{error}");
    assert!(
        error
            .to_string()
            .contains(&fingerprint_of(&jump.at("host.pub"))),
        "{error}"
    );
    fs::write(jump.at("known_hosts"), known).unwrap();
    let closed = behind(&sshd, &jump, 1);
    let error = tip(&url, &closed).unwrap_err();
    assert_eq!(error.reason(), "unreachable", "{error}");
}

#[test]
fn rule_25_a_jump_host_that_hangs_is_left_at_the_deadline_with_both_sshs() {
    let (Some(sshd), Some(jump)) = (Sshd::start(), Sshd::start()) else {
        return;
    };
    let forge = Forge::new();
    let url = sshd.url(&forge.repo());
    // It takes connections and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = behind(&sshd, &jump, mute.local_addr().unwrap().port());
    let marker = sshd.at("known_hosts").display().to_string();
    options.deadline = Duration::from_millis(1_500);
    let begun = Instant::now();
    let error = tip(&url, &options).unwrap_err();
    let spent = begun.elapsed();
    assert_eq!(error.reason(), "timed-out", "{error}");
    assert!(spent < Duration::from_secs(4), "{spent:?}");
    let until = Instant::now() + Duration::from_secs(5);
    let config = sshd.at("ssh_config").display().to_string();
    loop {
        let left = running(&[&marker, &config]);
        if left.is_empty() {
            break;
        }
        assert!(Instant::now() < until, "left: {left:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    // Long before a long deadline, ssh itself gives up.
    options.deadline = Duration::from_secs(60);
    options.ssh.connect_timeout = 1;
    let error = tip(&url, &options).unwrap_err();
    assert_eq!(error.reason(), "unreachable", "{error}");
    assert!(begun.elapsed() < Duration::from_secs(30));
}

/// Command lines of running processes that name one of these files.
fn running(files: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if files.iter().any(|file| line.contains(file)) {
            found.push(line);
        }
    }
    found
}
