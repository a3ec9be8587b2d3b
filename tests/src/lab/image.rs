//! The root file system that every lab is laid upon: made once, then only read.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{locked, run};

/// The release the packages are made for.
const SUITE: &str = "bookworm";

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

/// What `mmdebstrap` copies from this machine, and a host of its own must not have.
const HOOK: &str = r#"rm -f "$1/etc/hostname" "$1/etc/resolv.conf""#;

/// The directory of the root file system, made on first use (about a minute) and kept.
///
/// # Errors
/// `mmdebstrap` failed, most often because the package archive cannot be reached.
pub(super) fn ready(dir: &Path) -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    (SUITE, PACKAGES, HOOK).hash(&mut hasher);
    let image = dir.join(format!("{SUITE}-{:016x}", hasher.finish()));
    let _held = locked(&dir.join("image.lock"))?;
    if image.is_dir() {
        return Ok(image);
    }
    eprintln!(
        "lab: making a root file system of {SUITE} in {}",
        image.display()
    );
    let new = dir.join(format!(".new-{SUITE}"));
    if new.exists() {
        std::fs::remove_dir_all(&new)?;
    }
    run(Command::new("mmdebstrap")
        .args(["--quiet", "--variant=minbase", "--format=directory"])
        .arg(format!("--include={}", PACKAGES.join(",")))
        .arg(format!("--customize-hook={HOOK}"))
        .args([Path::new(SUITE), &new])
        .stdin(std::process::Stdio::null()))
    .context("cannot make the lab's root file system")?;
    std::fs::rename(&new, &image)?;
    Ok(image)
}
