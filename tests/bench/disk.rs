//! A file system on a disk, as Debian's installer makes it: ext4 with a journal. The disk of a machine that is itself a
//! virtual one may have another: without a journal, ext4 makes files slowly for minutes after others were removed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// Where the file with the file system is made, unless `PP_BENCH_DISK` names a directory to work in.
const ABOVE: &str = "/var/tmp";

/// Nothing of the file system is left to be written while it is used.
const AT_ONCE: &str = "lazy_itable_init=0,lazy_journal_init=0";

/// The size of the file system; the file is sparse.
const SIZE: &str = "8G";

/// A directory on a disk.
pub(crate) enum Disk {
    /// One that somebody has named.
    Named(PathBuf),
    /// A file system of its own, in a file of this machine's disk.
    Mounted(TempDir),
}

impl Disk {
    /// Makes the file system and mounts it, unless `PP_BENCH_DISK` names a directory.
    pub(crate) fn new() -> Result<Self> {
        if let Some(named) = std::env::var_os("PP_BENCH_DISK") {
            return Ok(Self::Named(named.into()));
        }
        let directory = tempfile::tempdir_in(ABOVE)?;
        let (image, at) = (directory.path().join("image"), directory.path().join("at"));
        std::fs::create_dir(&at)?;
        run(Command::new("truncate").args(["-s", SIZE]).arg(&image))?;
        run(Command::new("mkfs.ext4")
            .args(["-q", "-F", "-E", AT_ONCE])
            .arg(&image))?;
        run(Command::new("mount")
            .args(["-o", "loop"])
            .args([&image, &at]))?;
        Ok(Self::Mounted(directory))
    }

    /// What it is, in words.
    pub(crate) fn description(&self) -> String {
        match self {
            Self::Named(path) => path.display().to_string(),
            Self::Mounted(_) => "a disk: ext4 with a journal, in a file".to_owned(),
        }
    }

    /// The directory to work in.
    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Self::Named(path) => path.clone(),
            Self::Mounted(directory) => mounted(directory.path()),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Self::Mounted(directory) = self {
            let _ = run(Command::new("umount").arg(mounted(directory.path())));
        }
    }
}

fn mounted(directory: &Path) -> PathBuf {
    directory.join("at")
}

fn run(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let status = command.status().with_context(|| shown.clone())?;
    ensure!(status.success(), "{shown}: {status}");
    Ok(())
}
