//! One lab's own root: an overlay on the image, a lock that tells the living from the dead.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, anyhow};
use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::run;

/// Directories of labs begin with this.
pub(super) const PREFIX: &str = "pp-lab-";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A root file system that may be written to; removed when dropped.
#[derive(Debug)]
pub(super) struct Root {
    dir: PathBuf,
    name: String,
    _alive: Flock<File>,
}

impl Root {
    /// Lays an overlay on `image`, or a copy of it where the kernel refuses overlays.
    pub(super) fn lay(dir: &Path, image: &Path) -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        let dir = dir.join(&name);
        std::fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let alive = lock(&dir)?.ok_or_else(|| anyhow!("{} is in use", dir.display()))?;
        let root = Self {
            dir,
            name,
            _alive: alive,
        };
        for part in ["upper", "work", "root"] {
            std::fs::create_dir(root.dir.join(part))?;
        }
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            image.display(),
            root.dir.join("upper").display(),
            root.dir.join("work").display(),
        );
        let overlay = Some("overlay");
        let laid = mount(
            overlay,
            &root.path(),
            overlay,
            MsFlags::empty(),
            Some(&*options),
        );
        if laid.is_err() {
            // Inside of some containers an overlay on an overlay is refused: a copy takes 2 s.
            run(Command::new("cp")
                .args(["-a", "--reflink=auto"])
                .arg(image.join("."))
                .arg(root.path()))?;
        }
        Ok(root)
    }

    /// The machine's name: the directory's.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Where it is mounted.
    pub(super) fn path(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// The directory of the overlay's parts, the console's log and the machine's pid.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.dir) {
            eprintln!("lab: {} is left behind: {error:#}", self.dir.display());
        }
    }
}

/// Takes the lock that a living lab holds; `None` if it lives.
pub(super) fn lock(dir: &Path) -> Result<Option<Flock<File>>> {
    let file = File::create(dir.join("alive"))?;
    Ok(Flock::lock(file, FlockArg::LockExclusiveNonblock).ok())
}

/// Removes all of a lab that has ended.
pub(super) fn remove(dir: &Path) -> Result<()> {
    // Not mounted where it is a copy.
    let _ = umount2(&dir.join("root"), MntFlags::MNT_DETACH);
    std::fs::remove_dir_all(dir)?;
    Ok(())
}
