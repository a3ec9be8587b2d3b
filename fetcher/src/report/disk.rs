//! How much room the releases of an app take: what `du` would count.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The most entries that are counted: beyond that, what is told is less than there is.
const MOST_ENTRIES: usize = 2_000_000;

/// The size of the blocks that `st_blocks` counts (stat(2)).
const BLOCK: u64 = 512;

/// Counts the bytes below a directory; of a file with several names, once.
pub(crate) fn used(directory: &Path) -> u64 {
    let mut seen = HashSet::new();
    let mut entries = 0;
    let mut bytes = 0;
    let mut to_do = vec![directory.to_owned()];
    while let Some(directory) = to_do.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            entries += 1;
            let Ok(found) = entry.metadata() else {
                continue;
            };
            if entries > MOST_ENTRIES {
                return bytes;
            }
            if found.is_dir() {
                to_do.push(entry.path());
            } else if found.nlink() > 1 && !seen.insert((found.dev(), found.ino())) {
                continue;
            }
            bytes += found.blocks() * BLOCK;
        }
    }
    bytes
}
