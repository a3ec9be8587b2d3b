//! The source of the crates, as the tests read it that compare pages with it.

use std::fs;
use std::path::{Path, PathBuf};

/// Lists every Rust file below a directory; what cargo has built is left out.
pub(crate) fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

/// The source without its unit tests, as its messages are printed: literals that go over several lines are one.
#[allow(dead_code, reason = "some pages are compared with names alone")]
pub(crate) fn joined(text: &str) -> String {
    let shown = text.split("#[cfg(test)]").next().unwrap();
    let mut out = String::new();
    let mut rest = shown;
    while let Some((before, after)) = rest.split_once("\\\n") {
        out.push_str(before);
        rest = after.trim_start();
    }
    out + rest
}
