//! Files that a tree asks git to filter on checkout: what would be deployed is then not what a clone
//! gives (git-crypt, mostly). Nothing is filtered here, so such a tree is refused, unless the
//! administrator says otherwise.
//!
//! What a filter's name means is in git's configuration, which no server of ours has; `lfs` is told by
//! the content of each file instead, as a file that was committed without it needs none.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gix_attributes::search::{MetadataCollection, Outcome};
use gix_attributes::{Search, StateRef};
use gix_glob::pattern::Case;

use crate::checkout::name;
use crate::config::tree::TreeRules;
use crate::proof::Id;
use crate::proof::tree::FILE;
use crate::proof::written::Tree;
use crate::worker::WorkerError;

/// The file's name in every directory.
const FILE_NAME: &[u8] = b".gitattributes";

/// Most bytes of such files that one tree may have: each file is held against each pattern in them. A
/// line for each of ten thousand files takes less.
const MOST: usize = 1 << 20;

/// Stands for the top of the tree; nothing is opened there.
const TOP: &str = "/tree";

/// Refuses a tree with a file that asks for a filter, unless `rules` take it as it is. `get` gives a
/// file's content, proven by its name.
pub(super) fn check(
    tree: &Tree,
    rules: &TreeRules,
    get: &mut dyn FnMut(Id) -> Result<Vec<u8>, WorkerError>,
) -> Result<(), WorkerError> {
    let mut files = Vec::new();
    let mut size = 0;
    for (path, entries) in tree.directories() {
        let file = entries
            .iter()
            .find(|e| e.name == FILE_NAME && e.kind() == FILE);
        if let Some(file) = file {
            let content = get(file.id)?;
            size += content.len();
            if size > MOST {
                return Err(too_much());
            }
            files.push((path.clone(), content));
        }
    }
    // Most say something of line ends alone. Where one asks for a filter, another may do so by a macro.
    let asks = |content: &Vec<u8>| content.windows(6).any(|word| word == b"filter");
    if !files.iter().any(|(_, content)| asks(content)) {
        return Ok(());
    }
    // Of two files the one that lies deeper has the last word.
    files.sort_by_key(|(path, _)| path.components().count());
    let filters = Filters::read(&files)
        .map_err(|error| WorkerError::Failed(format!(".gitattributes cannot be read: {error}")))?;
    for (path, entries) in tree.directories() {
        for entry in entries.iter().filter(|e| e.kind() == FILE) {
            let path = path.join(std::ffi::OsStr::from_bytes(&entry.name));
            let bytes = path.as_os_str().as_bytes();
            if rules.leaves_out(bytes) || rules.takes_unfiltered(bytes) {
                continue;
            }
            if let Some(filter) = filters.of(bytes) {
                return Err(refused(&path, &filter));
            }
        }
    }
    Ok(())
}

fn too_much() -> WorkerError {
    WorkerError::Tree(format!(
        "the tree is refused because its .gitattributes files have more than {} KiB together, which pp-fetcher \
         does not look through for filters\n  patterns in place of single paths make them smaller",
        MOST / 1024
    ))
}

fn refused(path: &Path, filter: &str) -> WorkerError {
    let shown = name::shown(path.as_os_str().as_bytes());
    WorkerError::Tree(format!(
        "the tree is refused because of {shown}: .gitattributes asks for the filter {filter:?}, and pp-fetcher \
         applies none, so what is deployed would not be what a clone with that filter has\n  in the app's file, \
         under [tree]: leave_out = [\"{shown}\"] where the app does without it, or unfiltered = [\"{shown}\"] where \
         what is in the repository is what it needs"
    ))
}

/// The filters that all files of attributes ask for.
struct Filters {
    search: Search,
    names: MetadataCollection,
}

impl Filters {
    fn read(files: &[(PathBuf, Vec<u8>)]) -> std::io::Result<Self> {
        let (mut search, mut names) = (Search::default(), MetadataCollection::default());
        for (directory, content) in files {
            let source = Path::new(TOP).join(directory).join(".gitattributes");
            // As in git, macros are for the file at the top alone.
            let macros = directory.as_os_str().is_empty();
            search.add_patterns_buffer(
                content,
                source,
                Some(Path::new(TOP)),
                &mut names,
                macros,
            )?;
        }
        Ok(Self { search, names })
    }

    /// The filter of the file at `path`, if there is one.
    fn of(&self, path: &[u8]) -> Option<String> {
        let mut outcome = Outcome::default();
        outcome.initialize_with_selection(&self.names, ["filter"]);
        let case = Case::Sensitive;
        self.search
            .pattern_matching_relative_path(path.into(), case, Some(false), &mut outcome);
        let found = outcome
            .iter_selected()
            .find_map(|found| match found.assignment.state {
                StateRef::Value(value) => Some(value.as_bstr().to_string()),
                _ => None,
            });
        found.filter(|filter| !filter.is_empty() && filter != "lfs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(files: &[(&str, &str)], path: &str) -> String {
        let files: Vec<_> = files
            .iter()
            .map(|(directory, text)| (PathBuf::from(directory), text.as_bytes().to_vec()))
            .collect();
        let filters = Filters::read(&files).unwrap();
        filters.of(path.as_bytes()).unwrap_or_default()
    }

    #[test]
    fn a_filter_is_found_as_git_finds_it() {
        let top = [(
            "",
            "*.secret filter=git-crypt diff=git-crypt\nplain.secret !filter\n",
        )];
        assert_eq!(filter(&top, "a.secret"), "git-crypt");
        assert_eq!(filter(&top, "deep/down/a.secret"), "git-crypt");
        assert_eq!(filter(&top, "plain.secret"), "");
        assert_eq!(filter(&top, "a.secrets"), "");
        let both = [
            ("", "*.x filter=one\n"),
            ("sub", "*.x filter=two\nkeep.x -filter\n"),
        ];
        assert_eq!(filter(&both, "a.x"), "one");
        assert_eq!(filter(&both, "sub/a.x"), "two");
        assert_eq!(filter(&both, "sub/keep.x"), "");
        let rooted = [("", "/a.x filter=one\ndir/** filter=two\n")];
        assert_eq!(filter(&rooted, "a.x"), "one");
        assert_eq!(filter(&rooted, "sub/a.x"), "");
        assert_eq!(filter(&rooted, "dir/b/c"), "two");
    }

    #[test]
    fn macros_count_at_the_top_and_lfs_is_told_by_its_content() {
        let text = "[attr]crypted filter=git-crypt\n*.key crypted\n*.psd filter=lfs -text\n";
        assert_eq!(filter(&[("", text)], "a.key"), "git-crypt");
        assert_eq!(filter(&[("", text)], "a.psd"), "");
        assert_eq!(filter(&[("", "*.c ident\n*.x filter\n")], "a.x"), "");
    }
}
