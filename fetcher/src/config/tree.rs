//! The settings of `[tree]`: the exceptions that an administrator makes for files of one app.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::fragment::Tree;
use crate::util::glob;

/// Most bytes of one list of patterns: each file of a revision is compared with each pattern.
const LARGEST: usize = 8 * 1024;

/// What each pattern counts towards [`LARGEST`] in addition to its own length, in bytes.
const LENGTH: usize = 8;

/// Which files of a revision are exceptions to the usual checks. A pattern is compared with the whole path
/// below the release; `*` stands for any characters including `/`, `?` for one character.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TreeRules {
    /// Files and directories that are not deployed at all.
    pub leave_out: Vec<String>,
    /// Symbolic links that may lead out of the release.
    pub outside_links: Vec<String>,
    /// Git LFS pointers that are deployed as they are.
    pub lfs_pointers: Vec<String>,
    /// Files that are deployed without the filter that `.gitattributes` asks for.
    pub unfiltered: Vec<String>,
    /// Submodules whose directory stays empty.
    pub empty: BTreeSet<PathBuf>,
}

impl TreeRules {
    /// Whether the file or directory at `path` is left out of the release.
    #[must_use]
    pub(crate) fn leaves_out(&self, path: &[u8]) -> bool {
        any(&self.leave_out, path)
    }

    /// Whether the symbolic link at `path` may lead out of the release.
    #[must_use]
    pub(crate) fn may_leave(&self, path: &[u8]) -> bool {
        any(&self.outside_links, path)
    }

    /// Whether the file at `path` is deployed even if it is a Git LFS pointer.
    #[must_use]
    pub(crate) fn takes_pointer(&self, path: &[u8]) -> bool {
        any(&self.lfs_pointers, path)
    }

    /// Whether the file at `path` is deployed although `.gitattributes` asks for a filter for it.
    #[must_use]
    pub(crate) fn takes_unfiltered(&self, path: &[u8]) -> bool {
        any(&self.unfiltered, path)
    }
}

fn any(patterns: &[String], path: &[u8]) -> bool {
    // Mostly there are no patterns: the path is then not converted.
    !patterns.is_empty() && {
        let path = String::from_utf8_lossy(path);
        patterns.iter().any(|p| glob::matches(p, &path))
    }
}

/// Checks the patterns as written.
///
/// # Errors
/// A sentence that names the wrong key.
pub(super) fn rules(written: Tree, empty: BTreeSet<PathBuf>) -> Result<TreeRules, String> {
    let patterns = |key: &str, patterns: Option<Vec<String>>| {
        let patterns = patterns.unwrap_or_default();
        let size: usize = patterns.iter().map(|p| p.len() + LENGTH).sum();
        if size > LARGEST {
            return Err(format!(
                "`tree.{key}` has more than {} KiB of patterns: with * in them, fewer say the same",
                LARGEST / 1024
            ));
        }
        let wrong = |p: &&String| {
            p.is_empty()
                || p.starts_with('/')
                || p.ends_with('/')
                || p.split('/').any(|n| n == "..")
        };
        match patterns.iter().find(wrong) {
            None => Ok(patterns),
            Some(wrong) => Err(format!(
                "`tree.{key}`: `{wrong}` can match nothing: a pattern is of whole paths in the \
                 repository, such as \"tests/fixtures/*\", without / at either end"
            )),
        }
    };
    Ok(TreeRules {
        leave_out: patterns("leave_out", written.leave_out)?,
        outside_links: patterns("outside_links", written.outside_links)?,
        lfs_pointers: patterns("lfs_pointers", written.lfs_pointers)?,
        unfiltered: patterns("unfiltered", written.unfiltered)?,
        empty,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_of_the_whole_path() {
        let written = Tree {
            leave_out: Some(vec!["tests/fixtures/*".into(), "doc".into()]),
            ..Tree::default()
        };
        let rules = rules(written, BTreeSet::new()).unwrap();
        for (path, left_out) in [
            ("tests/fixtures/a", true),
            ("tests/fixtures/deep/a", true),
            ("tests/fixtures", false),
            ("doc", true),
            ("doc/a", false),
            ("other/doc", false),
        ] {
            assert_eq!(rules.leaves_out(path.as_bytes()), left_out, "{path}");
        }
    }

    #[test]
    fn a_pattern_that_can_match_nothing_is_refused() {
        for pattern in ["", "/etc/*", "tests/", "../x"] {
            let written = Tree {
                lfs_pointers: Some(vec![pattern.into()]),
                ..Tree::default()
            };
            let why = rules(written, BTreeSet::new()).unwrap_err();
            assert!(why.contains("tree.lfs_pointers"), "{why}");
        }
    }
}
