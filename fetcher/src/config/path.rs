//! Checks of the paths that are written in the configuration.

use std::path::{Component, Path};

/// Whether `path` stays below the directory that it is appended to: relative, and without `..`.
pub(super) fn stays_below(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_)))
}
