//! The root file system that every lab is laid upon: made once, then only read.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{locked, run};

/// A release of Debian that a lab can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// Debian 12, on which the packages are made.
    Bookworm,
    /// Debian 13, whose hosts get the same packages.
    Trixie,
}

impl Suite {
    fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }
}

/// What is on the host: what a server of our users has, and what plays the forge.
const PACKAGES: &[&str] = &[
    "adduser",
    "cron",
    "curl",
    "dbus",
    "git",
    "gunicorn",
    "iproute2",
    "logrotate",
    "nginx-light",
    "openssh-client",
    "openssh-server",
    "polkitd",
    "procps",
    "python3-django",
    "sudo",
    "systemd",
    "systemd-sysv",
    "uidmap",
];

/// Removes what `mmdebstrap` copies from this machine and a host of its own must not have, and masks what Debian does at
/// midnight: a suite that runs then would find its logs rotated, and files that no test has made.
const HOOK: &str = r#"rm -f "$1/etc/hostname" "$1/etc/resolv.conf"
for timer in apt-daily apt-daily-upgrade dpkg-db-backup e2scrub_all fstrim logrotate man-db; do
	ln -s /dev/null "$1/etc/systemd/system/$timer.timer"
done"#;

/// The directory of the root file system, made on first use (about a minute) and kept.
///
/// # Errors
/// `mmdebstrap` failed, most often because the package archive cannot be reached.
pub(super) fn ready(dir: &Path, suite: Suite) -> Result<PathBuf> {
    let suite = suite.name();
    let mut hasher = DefaultHasher::new();
    (suite, PACKAGES, HOOK).hash(&mut hasher);
    let image = dir.join(format!("{suite}-{:016x}", hasher.finish()));
    let _held = locked(&dir.join("image.lock"))?;
    if image.is_dir() {
        return Ok(image);
    }
    eprintln!(
        "lab: making a root file system of {suite} in {}",
        image.display()
    );
    let new = dir.join(format!(".new-{suite}"));
    if new.exists() {
        std::fs::remove_dir_all(&new)?;
    }
    run(Command::new("mmdebstrap")
        .args(["--quiet", "--variant=minbase", "--format=directory"])
        .arg(format!("--include={}", PACKAGES.join(",")))
        .arg(format!("--customize-hook={HOOK}"))
        .args([Path::new(suite), &new])
        .stdin(std::process::Stdio::null()))
    .context("cannot make the lab's root file system")?;
    std::fs::rename(&new, &image)?;
    Ok(image)
}
