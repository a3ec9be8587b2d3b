//! A front and a monitor on a temporary socket, with a fake systemd behind them.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong, and not every test uses all of this"
)]

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use pp_protocol::{ActiveState, Client, JobResult, Report, UnitName, Verb};
use pp_restarter::front::{self, Settings};
use pp_restarter::monitor::fronts::Fronts;
use pp_restarter::monitor::{self, Changes, Manager, Service};
use pp_restarter::policy::{Limit, Policy, Unit, Who};
use tokio::sync::oneshot;

/// Restarts nothing, remembers everything.
#[derive(Debug, Default)]
pub struct Fake {
    pub takes: Duration,
    pub acts: Mutex<Vec<(Verb, String)>>,
    pub ended: Mutex<usize>,
    pub shutting_down: bool,
    pub shuts_down_after: Option<Duration>,
    begun: std::sync::OnceLock<tokio::time::Instant>,
}

impl Fake {
    pub fn taking(takes: Duration) -> Arc<Self> {
        Arc::new(Self {
            takes,
            ..Self::default()
        })
    }

    pub fn count(&self) -> usize {
        self.acts.lock().unwrap().len()
    }

    /// The units that were acted on, in order.
    pub fn acts(&self) -> Vec<String> {
        let acts = self.acts.lock().unwrap();
        acts.iter().map(|(_, unit)| unit.clone()).collect()
    }

    pub fn ended(&self) -> usize {
        *self.ended.lock().unwrap()
    }
}

impl Manager for Fake {
    async fn act(&self, verb: Verb, unit: &UnitName) -> Report {
        let count = {
            let mut acts = self.acts.lock().unwrap();
            acts.push((verb, unit.to_string()));
            u8::try_from(acts.len()).unwrap_or(u8::MAX)
        };
        tokio::time::sleep(self.takes).await;
        *self.ended.lock().unwrap() += 1;
        report(count)
    }

    async fn is_shutting_down(&self) -> bool {
        let begun = self.begun.get_or_init(tokio::time::Instant::now);
        self.shutting_down
            || self
                .shuts_down_after
                .is_some_and(|after| begun.elapsed() >= after)
    }
}

/// A policy that never changes on disk.
pub struct Same;

impl Changes for Same {
    fn are_there(&self) -> bool {
        false
    }

    async fn wait(&self) {
        std::future::pending::<()>().await;
    }
}

/// A restart that went well, in the invocation of this number.
pub fn report(invocation: u8) -> Report {
    Report {
        job: JobResult::Done,
        refusal: None,
        active: ActiveState::Active,
        sub: "running".into(),
        result: "success".into(),
        main_pid: 4711,
        invocation_before: [0; 16],
        invocation: [invocation; 16],
        needs_daemon_reload: false,
        elapsed_ms: 1,
    }
}

pub fn me() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Whether to go on with a test that needs root; says so if not.
pub fn is_root(test: &str) -> bool {
    if me() != 0 {
        eprintln!("skipped: {test} needs root");
    }
    me() == 0
}

pub fn unit(name: &str) -> UnitName {
    UnitName::parse(name).unwrap()
}

/// A policy that allows all of `who` to restart each of `names`.
pub fn policy(names: &[&str], who: &[Who]) -> Policy {
    let units = names.iter().map(|name| Unit {
        name: unit(name),
        limit: Limit::DEFAULT,
        grants: who.iter().map(|who| (Verb::Restart, *who)).collect(),
    });
    Policy {
        units: units.collect(),
        ..Policy::default()
    }
}

/// What a monitor serves with whose fronts are behind these pairs, without a file of limits.
pub fn service(
    policy: &Policy,
    pairs: impl IntoIterator<Item = tokio::net::UnixStream>,
) -> Service {
    Service::new(policy, Default::default(), Fronts::new(pairs, Vec::new()))
}

pub fn mine(names: &[&str]) -> Policy {
    policy(names, &[Who::User(me())])
}

/// The service, in two threads.
pub struct Rig {
    dir: tempfile::TempDir,
    /// What systemd keeps while the service is not running.
    pub listener: UnixListener,
    pub fake: Arc<Fake>,
    stop: Option<oneshot::Sender<()>>,
    front: Option<JoinHandle<std::io::Result<()>>>,
    monitor: Option<JoinHandle<std::io::Result<()>>>,
}

impl Rig {
    pub fn new(policy: Policy) -> Self {
        Self::with(policy, Fake::taking(Duration::ZERO), |_| {})
    }

    pub fn with(policy: Policy, fake: Arc<Fake>, change: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        // On purpose: whoever the file modes let in must be judged by the policy alone.
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
        let mut settings = Settings::for_policy(&policy);
        change(&mut settings);
        let kept = listener.try_clone().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (handed, manager) = (policy.clone(), Arc::clone(&fake));
        let monitor = std::thread::spawn(move || {
            run(async {
                let stop = async { stopped.await.unwrap_or_else(|_| std::process::abort()) };
                let service = service(&policy, [tokio_stream(ours)]);
                monitor::serve(service, manager, stop, Same).await
            })
        });
        let front = std::thread::spawn(move || {
            run(async {
                listener.set_nonblocking(true).unwrap();
                front::serve(listener, tokio_stream(theirs), (handed, false), settings).await
            })
        });
        Self {
            dir,
            listener: kept,
            fake,
            stop: Some(stop),
            front: Some(front),
            monitor: Some(monitor),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    pub fn client(&self) -> Client {
        Client::at(self.path())
            .served_by(me())
            .timeout(Duration::from_secs(20))
    }

    pub fn connect(&self) -> UnixStream {
        UnixStream::connect(self.path()).unwrap()
    }

    /// Sends raw bytes and returns all that comes back until the connection is closed.
    pub fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        drain(&mut stream)
    }

    /// Tells the monitor to stop, as SIGTERM does.
    pub fn terminate(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    pub fn front_ended(&mut self) -> std::io::Result<()> {
        self.front.take().unwrap().join().unwrap()
    }

    pub fn monitor_ended(&mut self) -> std::io::Result<()> {
        self.monitor.take().unwrap().join().unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        for thread in [self.front.take(), self.monitor.take()]
            .into_iter()
            .flatten()
        {
            let _ = thread.join();
        }
    }
}

/// All that comes until the other side closes.
pub fn drain(stream: &mut UnixStream) -> Vec<u8> {
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut all = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return all,
            Ok(n) => all.extend_from_slice(&chunk[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return all,
            Err(e) => panic!("{e}, after {all:02x?}"),
        }
    }
}

fn tokio_stream(stream: UnixStream) -> tokio::net::UnixStream {
    stream.set_nonblocking(true).unwrap();
    tokio::net::UnixStream::from_std(stream).unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Runs the real client as somebody else; needs root.
pub fn client_as(uid: u32, gid: u32, groups: &str, socket: &Path, args: &[&str]) -> Output {
    let groups = match groups {
        "" => "--clear-groups".to_owned(),
        some => format!("--groups={some}"),
    };
    Command::new("setpriv")
        .args([format!("--reuid={uid}"), format!("--regid={gid}"), groups])
        .arg(env!("CARGO_BIN_EXE_pp-restart"))
        .arg(format!("--socket={}", socket.display()))
        .args(args)
        .output()
        .unwrap()
}
