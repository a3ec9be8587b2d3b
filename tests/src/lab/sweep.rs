//! What a run that was killed has left behind.

use std::path::Path;

use anyhow::{Context, Result};

use super::root::{PREFIX, lock, remove};
use super::{cgroup, machine};

/// Ends and removes the labs of runs that were killed; those of running ones are locked.
pub(super) fn sweep(dir: &Path) -> Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with(PREFIX) {
            continue;
        }
        if let Ok(Some(_dead)) = lock(&path) {
            machine::end_left_over(&path);
            cgroup::sweep(&name);
            remove(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}
