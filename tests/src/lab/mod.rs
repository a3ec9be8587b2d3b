//! A throwaway Debian host: real systemd, dbus, cron, sshd and nginx, booted in about a second.
//!
//! [`Lab::boot`] lays an overlay on a root file system that is made once, and boots it by
//! `systemd-nspawn` without any network but its own loopback. Dropping the [`Lab`] powers it off and
//! removes every trace; what a killed run left behind is swept at the next boot.

mod cgroup;
mod command;
mod files;
mod image;
mod machine;
mod net;
mod root;
mod sweep;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use nix::fcntl::{Flock, FlockArg};

pub use command::{Account, Call, Output};
pub use image::Suite;
pub(crate) use net::request;
pub use net::{NetNs, Response};

use machine::Machine;
use root::Root;

/// Waits for the lock `path`, and holds it until the value is dropped.
fn locked(path: &Path) -> Result<Flock<File>> {
    let file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, errno)| anyhow!("cannot lock {}: {errno}", path.display()))
}

/// A booted host.
#[derive(Debug)]
pub struct Lab {
    // The order matters: the machine is powered off before its root is removed.
    machine: Machine,
    root: Root,
}

impl AsRef<Lab> for Lab {
    fn as_ref(&self) -> &Lab {
        self
    }
}

/// Why no lab can be booted here, if it cannot.
#[must_use]
pub fn why_not() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("booting a host in a directory needs root".to_owned());
    }
    ["systemd-nspawn", "mmdebstrap", "nsenter"]
        .into_iter()
        .find(|tool| !on_path(tool))
        .map(|tool| {
            format!("{tool} is missing (apt-get install systemd-container mmdebstrap util-linux)")
        })
}

fn on_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(tool).is_file())
}

impl Lab {
    /// Boots a host and waits until systemd says that it is running.
    ///
    /// # Errors
    /// No root or no `systemd-nspawn` ([`why_not`]), a root file system that cannot be made, or a host
    /// that does not come up within 30 s; the console's last lines are in the error then.
    pub fn boot() -> Result<Self> {
        Self::boot_suite(Suite::Bookworm)
    }

    /// The same with a release of Debian.
    ///
    /// # Errors
    /// Those of [`Lab::boot`].
    pub fn boot_suite(suite: Suite) -> Result<Self> {
        if let Some(reason) = why_not() {
            anyhow::bail!(reason);
        }
        let dir = work_dir();
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let image = image::ready(&dir, suite)?;
        let root = {
            // Other suites boot at the same time: none may take this root for a dead one's before it is locked.
            let _alone = locked(&dir.join("labs.lock"))?;
            sweep::sweep(&dir)?;
            Root::lay(&dir, &image)?
        };
        let machine = Machine::start(&root)?;
        let lab = Self { machine, root };
        lab.sh(&format!(
            "echo '127.0.0.1 localhost {}' >/etc/hosts",
            lab.root.name()
        ))?;
        Ok(lab)
    }

    /// Installs Debian packages from files of this machine; everything they depend on is there.
    ///
    /// # Errors
    /// `dpkg` failed; its words are in the error.
    pub fn install(&self, debs: &[PathBuf]) -> Result<()> {
        self.cmd(["dpkg", "--install"])
            .args(self.bring(debs)?)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .within(Duration::from_secs(120))
            .ok()?;
        Ok(())
    }

    /// Copies files of this machine into root's home. Gives their paths there.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn bring(&self, files: &[PathBuf]) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for file in files {
            let name = file
                .file_name()
                .and_then(|n| n.to_str())
                .context("a file without name")?;
            let inside = format!("/root/{name}");
            let bytes =
                std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            self.write(&inside, &bytes, 0o644, "root:root")?;
            names.push(inside);
        }
        Ok(names)
    }

    /// The machine's name, unique on this machine.
    #[must_use]
    pub fn name(&self) -> &str {
        self.root.name()
    }

    /// The uid 0 of the host.
    #[must_use]
    pub fn root(&self) -> Account<'_> {
        Account::new(self, "root")
    }

    /// Another account of the host.
    #[must_use]
    pub fn as_user<'a>(&'a self, name: &'a str) -> Account<'a> {
        Account::new(self, name)
    }

    /// A command, run as root.
    #[must_use]
    pub fn cmd<I: Into<String>>(&self, argv: impl IntoIterator<Item = I>) -> Call<'_> {
        self.root().cmd(argv)
    }

    /// A shell script, run as root; gives back what it printed.
    ///
    /// # Errors
    /// It failed or took longer than 60 s.
    pub fn sh(&self, script: &str) -> Result<String> {
        self.root().sh(script)
    }

    /// The journal's messages that `filter` (arguments of `journalctl`) selects, oldest first.
    ///
    /// # Errors
    /// `journalctl` failed.
    pub fn journal(&self, filter: &[&str]) -> Result<String> {
        // What has been sent is not yet what can be read.
        self.cmd(["journalctl", "--sync"]).ok()?;
        self.cmd(["journalctl", "--no-pager", "--quiet"])
            .args(filter.iter().copied())
            .ok()
    }

    /// A property of a unit, such as `MainPID`.
    ///
    /// # Errors
    /// `systemctl` failed.
    pub fn property(&self, unit: &str, property: &str) -> Result<String> {
        self.cmd(["systemctl", "show", "--value", "--property", property, unit])
            .ok()
    }
}

/// Where root file systems and running labs are kept: `lab/` in cargo's target directory.
fn work_dir() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    target.join("lab")
}

/// Runs a program of this machine and demands that it succeeds.
fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
