//! Programs at the server, run over a shared connection with a real sshd: without a process of ssh, asked before the
//! server greets, and told apart from a connection that has failed.

use std::fs;
use std::time::Duration;

use super::git_support::script;
use super::multiplex::Scene;
use super::support;
use crate::git::{RefSelector, Remote, RemoteOptions};

/// A server that runs what is asked for by a script of the test's. Files in the directory tell how: `patient`: only after
/// something was asked; `old`: without version 2 of git's protocol; `slow`: after 5 s; `deaf`: without what comes in its first second; `broken`: not at all;
/// `stale`: not over the connections that are named there.
fn scene() -> Option<Scene> {
    Scene::with(|dir| {
        let at = dir.display();
        script(
            &dir.join("forced"),
            &format!(
                "[ ! -e {at}/broken ] || exit 3
                 ! grep -qxF \"$SSH_CONNECTION\" {at}/stale 2>/dev/null || exit 128
                 echo \"$SSH_CONNECTION\" >>{at}/logins
                 [ ! -e {at}/deaf ] || timeout 1 cat >/dev/null
                 [ ! -e {at}/slow ] || sleep 5
                 [ ! -e {at}/old ] || unset GIT_PROTOCOL
                 echo \"$GIT_PROTOCOL\" >>{at}/asked
                 if [ -e {at}/patient ]; then
                     head -c 4 >{at}/first
                     {{ cat {at}/first; cat; }} | eval \"$SSH_ORIGINAL_COMMAND\"
                 else
                     eval \"$SSH_ORIGINAL_COMMAND\"
                 fi"
            ),
        );
        format!("ForceCommand {at}/forced\n")
    })
}

fn touch(scene: &Scene, name: &str) {
    fs::write(scene.sshd.at(name), "").unwrap();
}

/// The protocols that sessions have asked for.
fn asked(scene: &Scene) -> Vec<String> {
    let asked = fs::read_to_string(scene.sshd.at("asked")).unwrap();
    asked.lines().map(str::to_owned).collect()
}

#[test]
fn a_conversation_over_a_master_takes_no_process_of_ssh() {
    let Some(scene) = scene() else { return };
    scene.poll();
    let master = scene.processes("");
    assert_eq!(master.len(), 1);
    let mut remote = scene.connect().unwrap();
    assert_eq!(remote.process_group(), 0);
    assert_eq!(scene.processes(""), master);
    drop(remote);
    assert_eq!(scene.logins(), 1);
    assert_eq!(asked(&scene), ["version=2", "version=2"]);
}

#[test]
fn what_a_server_takes_is_asked_for_before_the_server_greets() {
    let Some(scene) = scene() else { return };
    scene.poll();
    touch(&scene, "patient");
    scene.poll();
    assert_eq!(scene.logins(), 1);
    assert_eq!(asked(&scene).len(), 2, "each session was used");
    assert_eq!(fs::read(scene.sshd.at("first")).unwrap(), b"0014");
}

#[test]
fn a_server_that_speaks_another_version_now_fails_no_poll() {
    let Some(scene) = scene() else { return };
    scene.poll();
    touch(&scene, "old");
    scene.poll();
    // Sent too early, the request was of no use: this conversation took a connection of its own.
    assert_eq!(scene.logins(), 2);
    scene.poll();
    assert_eq!(scene.logins(), 2, "the shared connection is used again");
    fs::remove_file(scene.sshd.at("old")).unwrap();
    scene.poll();
    scene.poll();
    assert_eq!(scene.logins(), 2);
    assert_eq!(
        asked(&scene),
        ["version=2", "", "", "", "version=2", "version=2"]
    );
}

#[test]
fn what_a_program_at_the_server_says_is_asked_of_a_new_login_and_the_connection_stays() {
    let Some(scene) = scene() else { return };
    scene.poll();
    let gone = scene.sshd.url("/nowhere/x.git".as_ref());
    for _ in 0..3 {
        let error = Remote::connect(&gone, &scene.options).err().unwrap();
        assert_eq!(error.reason(), "no-repository", "{error}");
    }
    touch(&scene, "broken");
    let shared = scene.connect().err().unwrap().to_string();
    let alone = RemoteOptions {
        connections: None,
        ..scene.options.clone()
    };
    let url = scene.sshd.url(&scene.forge.repo());
    let error = Remote::connect(&url, &alone).err().unwrap().to_string();
    assert_eq!(shared, error, "the same as over a connection of its own");
    fs::remove_file(scene.sshd.at("broken")).unwrap();
    scene.poll();
    assert_eq!(
        scene.logins(),
        1 + 3 + 1 + 1,
        "the first one is shared still"
    );
}

#[test]
fn a_login_that_may_no_longer_what_a_new_one_may_is_replaced() {
    let Some(scene) = scene() else { return };
    scene.poll();
    fs::copy(scene.sshd.at("logins"), scene.sshd.at("stale")).unwrap();
    scene.poll();
    assert_eq!(scene.logins(), 2, "this one by itself");
    for _ in 0..3 {
        scene.poll();
    }
    assert_eq!(scene.logins(), 3, "and then a new one for all");
}

#[test]
fn a_server_that_drops_what_comes_early_is_asked_so_once() {
    let Some(scene) = scene() else { return };
    scene.poll();
    touch(&scene, "deaf");
    let wanted = RefSelector::Branch("main".into());
    let url = scene.sshd.url(&scene.forge.repo());
    let hurried = RemoteOptions {
        deadline: Duration::from_secs(3),
        ..scene.options.clone()
    };
    let error = Remote::connect_and_list(&url, &hurried, &wanted)
        .err()
        .unwrap();
    assert_eq!(error.reason(), "timed-out", "{error}");
    for _ in 0..2 {
        scene.poll();
    }
    assert_eq!(scene.logins(), 1);
}

#[test]
fn a_pack_comes_whole_over_a_master_and_a_budget_and_a_deadline_hold() {
    let Some(scene) = scene() else { return };
    let noise: String = (0..400_000)
        .map(|n: u64| format!("{:x}", n * n * 31))
        .collect();
    scene.forge.commit("large", &noise, "much");
    let wanted = RefSelector::Branch("main".into());
    let url = scene.sshd.url(&scene.forge.repo());
    scene.poll();
    let mirror = scene.forge.mirror();
    let fetch = |options: &RemoteOptions| {
        let (mut remote, listed) = Remote::connect_and_list(&url, options, &wanted).unwrap();
        let revision = wanted.resolve(&listed).unwrap();
        support::fetch(&mut remote, &mirror, &revision, &mut |_| {})
    };
    let tight = RemoteOptions {
        budget: 100_000,
        ..scene.options.clone()
    };
    let error = fetch(&tight).unwrap_err().to_string();
    assert!(error.contains("more than"), "{error}");
    let fetched = fetch(&scene.options).unwrap();
    assert!(fetched.bytes > 1_000_000, "{fetched:?}");
    assert_eq!(scene.logins(), 1);
    touch(&scene, "slow");
    let hurried = RemoteOptions {
        deadline: Duration::from_secs(1),
        ..scene.options
    };
    let error = Remote::connect_and_list(&url, &hurried, &wanted)
        .err()
        .unwrap();
    assert_eq!(error.reason(), "timed-out", "{error}");
}
