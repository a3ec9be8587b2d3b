//! Paths of the configuration.

use std::path::{Component, Path};

/// Whether a path leads nowhere but below the directory it is put behind.
pub(super) fn stays_below(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_)))
}
