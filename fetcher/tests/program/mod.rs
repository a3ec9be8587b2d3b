//! The real program, as somebody who is not root, in a directory of its own.

#![allow(dead_code, unreachable_pub, reason = "every suite uses its part")]
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::unistd::geteuid;

#[allow(
    clippy::duplicate_mod,
    reason = "a suite may have `git_support` too, which has it"
)]
#[path = "../git_support/built.rs"]
mod built;
use built::{built, built_worker};
#[allow(clippy::duplicate_mod, reason = "as above")]
#[path = "../git_support/repository.rs"]
mod repository;
pub use repository::{run_git, write_files};

/// Whom the program runs as where the tests are root's: it refuses to run build scripts as root.
const NOBODY: u32 = 65534;

/// A configuration, a state, and the program.
pub struct Home(tempfile::TempDir);

impl Home {
    pub fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        open_to_all(home.path());
        for name in ["apps.d", "state"] {
            fs::create_dir(home.path().join(name)).unwrap();
            open_to_all(&home.path().join(name));
        }
        // Somebody else may not be able to reach where it was built. A link where that is possible: it
        // is large. Otherwise copied by another process, as one that this one has open for writing
        // while it forks could not be executed for a moment.
        for (name, program) in [
            ("pp-fetcher", built("pp-fetcher")),
            ("pp-git-worker", built_worker()),
        ] {
            let here = home.path().join(name);
            if fs::hard_link(&program, &here).is_err() {
                let mut copy = Command::new("cp");
                assert!(copy.arg(program).arg(here).status().unwrap().success());
            }
        }
        home
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes an app's file.
    pub fn app(&self, name: &str, text: &str) {
        fs::write(self.path().join(format!("apps.d/{name}.toml")), text).unwrap();
    }

    /// A command of any program as the same somebody.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path()).env("HOME", self.path());
        if geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Makes the repository `todo.git`, bare, and a work tree `work` for it.
    pub fn make_repository(&self) {
        self.git(&["init", "-q", "--bare", "-b", "main", "todo.git"]);
        self.git(&["init", "-q", "-b", "main", "work"]);
    }

    /// Runs git in this directory, and gives its output.
    pub fn git(&self, arguments: &[&str]) -> String {
        run_git(self.command("git"), arguments, b"")
    }

    /// Commits all of the work tree, with these files as they are now, and pushes it. Gives the commit.
    pub fn push(&self, files: &[(&str, &str)], subject: &str) -> String {
        write_files(&self.path().join("work"), files);
        self.git(&["-C", "work", "add", "-A"]);
        self.git(&["-C", "work", "commit", "-q", "-m", subject]);
        self.git(&["-C", "work", "push", "-q", "../todo.git", "HEAD:main"]);
        self.git(&["-C", "work", "rev-parse", "HEAD"])
    }

    /// A command of pp-fetcher.
    pub fn fetcher(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(self.path().join("pp-fetcher"));
        command.args(arguments).arg("--config").arg(self.path());
        command.arg("--state").arg(self.path().join("state"));
        command
    }

    /// Waits until the file `log` holds `what`.
    pub fn wait_for(&self, what: &str) {
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
    fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
}
