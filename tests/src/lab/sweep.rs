//! What a run that was killed has left behind.

use std::path::Path;

use anyhow::{Context, Result};

use super::machine;
use super::root::{PREFIX, lock, remove};

/// Ends and removes the labs of runs that were killed; those of running ones are locked.
pub(super) fn sweep(dir: &Path) -> Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let ours = path
            .file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with(PREFIX));
        if !ours {
            continue;
        }
        if let Ok(Some(_dead)) = lock(&path) {
            machine::end_left_over(&path);
            remove(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}
