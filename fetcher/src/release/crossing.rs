//! What a way back crosses: files such as migrations that the release to be left has and the target has not. Going back
//! undoes none of what they have done.

use std::fs;
use std::path::{Path, PathBuf};

use super::layout::Layout;
use crate::util::glob;
use crate::util::text;

/// The most entries of a release that are looked at.
const MOST_ENTRIES: usize = 500_000;

/// The most files that are named in a message.
const NAMED: usize = 10;

/// Before each file in a message.
const LIST: &str = "\n    ";

/// How the copy ends that a build script may keep of a database in `shared/`, as the example of the package does.
const COPY: &str = ".before-last-deploy";

/// What a way back crosses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Crossing {
    /// The files, relative to the release, in order.
    pub files: Vec<String>,
    /// Copies of databases from before the last deploy, in `shared/`.
    pub copies: Vec<PathBuf>,
}

impl Crossing {
    /// Compares the release `from` with the release `to`, by files that `patterns` match.
    pub(crate) fn between(layout: &Layout, from: &str, to: &str, patterns: &[String]) -> Self {
        if patterns.is_empty() {
            return Self::default();
        }
        let (left, target) = (layout.release(from), layout.release(to));
        let mut files = Vec::new();
        let mut entries = 0;
        collect(&left, Path::new(""), &mut entries, &mut |path| {
            let name = path.to_string_lossy();
            let matched = patterns.iter().any(|pattern| glob::matches(pattern, &name));
            if matched && fs::symlink_metadata(target.join(path)).is_err() {
                files.push(text::line(name.as_bytes()));
            }
        });
        files.sort();
        let copies = if files.is_empty() {
            Vec::new()
        } else {
            copies(&layout.shared())
        };
        Self { files, copies }
    }

    /// Names what is crossed, in a few lines; `None` if that is nothing.
    pub(crate) fn describe(&self, to: &str) -> Option<String> {
        if self.files.is_empty() {
            return None;
        }
        let named: Vec<_> = self
            .files
            .iter()
            .take(NAMED)
            .map(|name| format!("{LIST}{name}"))
            .collect();
        let more = match self.files.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!("{LIST}and {more} more"),
        };
        let copies: String = self
            .copies
            .iter()
            .map(|path| {
                format!(
                    "\n  a copy of the database from before the last deploy: {}",
                    path.display()
                )
            })
            .collect();
        Some(format!(
            "{to} does not have {} that may have changed the database already; going back undoes none of it:{}{more}{copies}",
            match self.files.len() {
                1 => "a file".to_owned(),
                many => format!("{many} files"),
            },
            named.concat()
        ))
    }
}

fn collect(base: &Path, below: &Path, entries: &mut usize, found: &mut dyn FnMut(&Path)) {
    let Ok(listed) = fs::read_dir(base.join(below)) else {
        return;
    };
    for entry in listed.flatten() {
        *entries += 1;
        if *entries > MOST_ENTRIES {
            return;
        }
        let path = below.join(entry.file_name());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect(base, &path, entries, found),
            Ok(kind) if kind.is_file() => found(&path),
            _ => {}
        }
    }
}

/// Finds copies of databases in `shared/`.
fn copies(shared: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(shared).into_iter().flatten().flatten();
    let mut copies: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file() && path.to_string_lossy().ends_with(COPY))
        .collect();
    copies.sort();
    copies
}
