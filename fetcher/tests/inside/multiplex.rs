//! Conversations that share a connection, with a real sshd: how many logins the server sees, and that nothing which
//! happens to the connection fails a conversation.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::git_support::Forge;
use super::git_support::sshd::Sshd;
use crate::git::multiplex::{Connections, Destination};
use crate::git::{RefSelector, Remote, RemoteError, RemoteOptions};

/// What stands before the control socket in the command line of a master.
const MASTER: &str = "ControlPersist=no\0-o\0ControlPath=";

pub(super) struct Scene {
    pub(super) sshd: Sshd,
    pub(super) forge: Forge,
    pub(super) options: RemoteOptions,
}

impl Scene {
    fn new(more: &str) -> Option<Self> {
        Self::with(|_| more.to_owned())
    }

    /// With what `more` adds to the server's configuration, knowing its directory.
    pub(super) fn with(more: impl FnOnce(&Path) -> String) -> Option<Self> {
        let sshd = Sshd::start_as(&[], |dir| more(dir) + "LogLevel INFO\n")?;
        let forge = Forge::new();
        let mut options = sshd.options();
        options.deadline = Duration::from_secs(60);
        let destination = Destination::of(&sshd.url(&forge.repo()), &options.ssh).unwrap();
        options.connections = Some(Connections::new([destination]).unwrap());
        Some(Self {
            sshd,
            forge,
            options,
        })
    }

    pub(super) fn connect(&self) -> Result<Remote, RemoteError> {
        Remote::connect(&self.sshd.url(&self.forge.repo()), &self.options)
    }

    /// A poll, as far as it concerns the connection.
    pub(super) fn poll(&self) {
        let wanted = RefSelector::Branch("main".into());
        let url = self.sshd.url(&self.forge.repo());
        let begun = Remote::connect_and_list(&url, &self.options, &wanted);
        assert_eq!(begun.unwrap().1.refs.len(), 1);
    }

    /// How often somebody has logged in at the server.
    pub(super) fn logins(&self) -> usize {
        self.sshd.log().matches("Accepted publickey").count()
    }

    fn connections(&self) -> &Arc<Connections> {
        self.options.connections.as_ref().unwrap()
    }

    /// The processes whose command line has the directory of the control sockets after `before`.
    pub(super) fn processes(&self, before: &str) -> Vec<i32> {
        let socket = format!("{before}{}", self.connections().directory().display());
        named(&socket)
    }

    /// The ssh process that holds the connection.
    fn master(&self) -> i32 {
        let masters: Vec<_> = self.processes(MASTER);
        assert_eq!(masters.len(), 1, "{masters:?}");
        masters[0]
    }
}

fn named(part: &str) -> Vec<i32> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(part)
    };
    pids.filter(has).collect()
}

fn send(signal: Signal, pids: &[i32]) {
    for pid in pids {
        let _ = kill(Pid::from_raw(*pid), signal);
    }
}

/// Waits until these processes have ended: a signal takes its time.
fn gone(pids: &[i32]) {
    let give_up = Instant::now() + Duration::from_secs(10);
    let runs = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| !rest.starts_with('Z'))
    };
    while pids.iter().any(runs) {
        assert!(Instant::now() < give_up, "{pids:?} still run");
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn ten_polls_take_one_login_and_the_connection_ends_with_us() {
    let Some(scene) = Scene::new("") else { return };
    for _ in 0..10 {
        scene.poll();
    }
    assert_eq!(scene.logins(), 1);
    let directory = scene.connections().directory().to_owned();
    let mode = directory.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700, "nobody else gets in");
    let socket = directory.display().to_string();
    assert_eq!(named(&socket).len(), 1);
    drop(scene);
    assert!(named(&socket).is_empty());
    assert!(!directory.exists());
}

#[test]
fn polls_at_the_same_time_share_it_and_one_too_many_takes_its_own() {
    let Some(scene) = Scene::new("MaxSessions 2\n") else {
        return;
    };
    let open: Vec<_> = (0..4).map(|_| scene.connect().unwrap()).collect();
    // The two that the server let in, and two by themselves.
    assert_eq!(scene.logins(), 3);
    drop(open);
    scene.poll();
    assert_eq!(scene.logins(), 3);
}

#[test]
fn a_server_of_one_session_is_polled_all_the_same() {
    let Some(scene) = Scene::new("MaxSessions 1\n") else {
        return;
    };
    let first = scene.connect().unwrap();
    scene.poll();
    drop(first);
    scene.poll();
    assert_eq!(scene.logins(), 2);
}

#[test]
fn a_master_that_is_killed_fails_no_poll() {
    let Some(scene) = Scene::new("") else { return };
    scene.poll();
    scene.poll();
    let master = [scene.master()];
    send(Signal::SIGKILL, &master);
    gone(&master);
    for _ in 0..3 {
        scene.poll();
    }
    assert_eq!(scene.logins(), 2, "one login replaces it");
    // Killed after each conversation it is of no use, and there is none for a while.
    for _ in 0..5 {
        let masters = scene.processes(MASTER);
        send(Signal::SIGKILL, &masters);
        gone(&masters);
        scene.poll();
    }
    assert!(scene.logins() <= 2 + 5, "no storm: {}", scene.logins());
    assert!(scene.processes(MASTER).is_empty());
}

#[test]
fn a_conversation_that_fails_late_ends_its_own_master_and_not_the_next() {
    let Some(scene) = Scene::new("") else { return };
    let destination =
        Destination::of(&scene.sshd.url(&scene.forge.repo()), &scene.options.ssh).unwrap();
    let connections = scene.connections();
    let late = connections.session(&destination).unwrap();
    scene.poll();
    let killed = [scene.master()];
    send(Signal::SIGKILL, &killed);
    gone(&killed);
    scene.poll();
    let next = scene.master();
    connections.give_up(&destination, late.master());
    connections.replace(&destination, late.master());
    assert_eq!(scene.master(), next);
    // Its place was one on the master that is gone.
    let now = connections.session(&destination).unwrap();
    assert!(now.is_alone());
    connections.give_up(&destination, now.master());
    assert!(scene.processes(MASTER).is_empty());
}

#[test]
fn a_connection_that_the_server_closes_fails_no_poll() {
    let Some(scene) = Scene::new("") else { return };
    scene.poll();
    scene.poll();
    let master = [scene.master()];
    send(Signal::SIGTERM, &scene.sshd.sessions());
    gone(&master);
    scene.poll();
    scene.poll();
    assert_eq!(scene.logins(), 2);
}

#[test]
fn a_connection_whose_other_end_is_gone_without_a_word_fails_no_poll() {
    let Some(scene) = Scene::new("") else { return };
    scene.poll();
    // As after a sleep of this host: what answers is not the process at the other end.
    let gone = scene.sshd.sessions();
    send(Signal::SIGSTOP, &gone);
    let begun = Instant::now();
    scene.poll();
    let took = begun.elapsed();
    send(Signal::SIGKILL, &gone);
    assert!(
        took > Duration::from_secs(5),
        "it noticed by silence: {took:?}"
    );
    assert_eq!(scene.logins(), 2);
}

#[test]
fn without_a_server_a_poll_says_so_and_with_it_goes_on() {
    let Some(mut scene) = Scene::new("") else {
        return;
    };
    scene.poll();
    let sessions = scene.sshd.sessions();
    scene.sshd.stop();
    send(Signal::SIGKILL, &sessions);
    for _ in 0..2 {
        let error = scene.connect().err().unwrap();
        assert_eq!(error.reason(), "unreachable", "{error}");
    }
    scene.sshd.start_again();
    scene.poll();
}

#[test]
fn rule_24_a_pin_a_key_and_a_configuration_count_as_they_are_now() {
    let Some(scene) = Scene::new("") else { return };
    let file = |name: &str| scene.sshd.at(name);
    let known = fs::read(file("known_hosts")).unwrap();
    scene.poll();
    fs::write(file("known_hosts"), "").unwrap();
    let error = scene.connect().err().unwrap();
    assert!(
        matches!(error, RemoteError::HostKeyUnknown { .. }),
        "{error}"
    );
    assert!(scene.processes("").is_empty(), "the connection is ended");
    fs::write(file("known_hosts"), known).unwrap();
    scene.poll();
}

#[test]
fn another_key_opens_another_connection() {
    let Some(scene) = Scene::new("") else { return };
    scene.poll();
    let config = fs::read_to_string(scene.sshd.at("ssh_config")).unwrap();
    fs::write(
        scene.sshd.at("ssh_config"),
        format!("{config}  Compression yes\n"),
    )
    .unwrap();
    scene.poll();
    assert_eq!(scene.logins(), 2, "a configuration that has changed");
    scene.sshd.new_key("stranger");
    fs::rename(scene.sshd.at("stranger"), scene.sshd.at("user")).unwrap();
    let error = scene.connect().err().unwrap();
    assert_eq!(error.reason(), "permission-denied", "{error}");
}

#[test]
fn another_user_or_repository_is_told_apart() {
    let Some(scene) = Scene::new("") else { return };
    let of = |address: &str| Destination::of(&address.parse().unwrap(), &scene.options.ssh);
    let all = [
        "forge:a",
        "forge:b",
        "git@forge:a",
        "ssh://forge:23/a",
        "/srv/a",
    ]
    .map(of);
    let different: HashSet<_> = all.iter().flatten().collect();
    assert_eq!(different.len(), 3, "two repositories of one server are one");
    let gone = scene.sshd.url("/nowhere/x.git".as_ref());
    let error = Remote::connect(&gone, &scene.options).err().unwrap();
    assert_eq!(error.reason(), "no-repository", "{error}");
}
