//! SIGTERM and SIGHUP, to the real program.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

/// Somebody who is not root: the program refuses to run build scripts as root.
const NOBODY: u32 = 65534;

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        for name in ["apps.d", "state"] {
            fs::create_dir(home.path().join(name)).unwrap();
        }
        open_to_all(home.path());
        open_to_all(&home.path().join("state"));
        home
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// An app whose repository is not there: every poll fails, and says so.
    fn app(&self, name: &str) {
        let text = format!(
            "repository = \"file://{0}/none.git\"\ninterval = \"5s\"\n[deploy]\nroot = \"{0}/root\"\n",
            self.path().display()
        );
        fs::write(self.path().join(format!("apps.d/{name}.toml")), text).unwrap();
    }

    fn start(&self) -> Child {
        use std::os::unix::process::CommandExt;
        let log = self.path().join("log");
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        // Somebody else may not be able to reach where it was built.
        let program = self.path().join("pp-fetcher");
        fs::copy(env!("CARGO_BIN_EXE_pp-fetcher"), &program).unwrap();
        let mut command = Command::new(program);
        command.arg("run").arg("--config").arg(self.path());
        command.arg("--state").arg(self.path().join("state"));
        command.stdout(log.try_clone().unwrap()).stderr(log);
        if geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.spawn().unwrap()
    }

    fn wait_for(&self, what: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let log = fs::read_to_string(self.path().join("log")).unwrap_or_default();
            if log.contains(what) {
                return;
            }
            assert!(Instant::now() < deadline, "{what:?} does not come: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

#[test]
fn sigterm_ends_the_service_in_order() {
    let home = Home::new();
    home.app("one");
    let mut service = home.start();
    home.wait_for("one: failed: poll");
    signal(&service, Signal::SIGTERM);
    assert_eq!(service.wait().unwrap().code(), Some(0));
}

#[test]
fn sighup_takes_new_apps_and_a_mistake_leaves_the_old_ones_at_work() {
    let home = Home::new();
    home.app("one");
    let mut service = home.start();
    home.wait_for("one: failed: poll");
    home.app("two");
    signal(&service, Signal::SIGHUP);
    home.wait_for("two: failed: poll");
    fs::write(home.path().join("config.toml"), "nonsense").unwrap();
    signal(&service, Signal::SIGHUP);
    home.wait_for("config.toml:1:");
    fs::write(home.path().join("log"), "").unwrap();
    home.wait_for("two: failed: poll");
    signal(&service, Signal::SIGTERM);
    assert_eq!(service.wait().unwrap().code(), Some(0));
}

#[test]
fn an_idle_service_ends_at_once() {
    let home = Home::new();
    let mut service = home.start();
    // Its handlers are there once it has been able to say anything; with no app it says nothing.
    std::thread::sleep(Duration::from_millis(500));
    signal(&service, Signal::SIGTERM);
    assert_eq!(service.wait().unwrap().code(), Some(0));
}
