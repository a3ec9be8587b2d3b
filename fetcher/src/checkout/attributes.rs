//! Refuses trees with files that git would filter on checkout: the deployed files would differ from those of
//! a clone (git-crypt, mostly). pp-fetcher applies no filter, so such a tree is refused, unless the
//! administrator has made an exception.
//!
//! git's configuration says what a filter's name means, and a server has no such configuration. `lfs` is
//! recognised by the content of each file instead, as a file that was committed without `lfs` needs no filter.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gix_attributes::search::{MetadataCollection, Outcome};
use gix_attributes::{Search, StateRef};
use gix_glob::pattern::Case;

use pp_objects::Kind;

use super::Budget;
use super::deadline::Deadline;
use super::error::CheckoutError;
use super::name;
use super::plan::{Plan, PlannedFile};
use crate::worker::{Objects, WorkerError};

/// The most bytes of `.gitattributes` files in one tree: each file is compared with each pattern in them. A
/// line for each of ten thousand files takes fewer bytes.
const MOST: usize = 1 << 20;

/// The number of files between two looks at the clock.
const BATCH: usize = 256;

/// A path that stands for the top of the tree; no file is opened there.
const TOP: &str = "/tree";

/// Refuses a tree with a file for which a filter is asked, unless the rules take that file unfiltered.
pub(super) fn check(
    plan: &Plan,
    budget: &Budget,
    objects: &mut dyn Objects,
    deadline: Deadline,
) -> Result<(), CheckoutError> {
    let planned = &plan.files;
    let named = |file: &&PlannedFile| file.path.file_name().is_some_and(|n| n == name::ATTRIBUTES);
    let found: Vec<_> = planned.iter().filter(named).collect();
    let above: Vec<_> = plan.attributes_above.iter().map(|(_, id)| *id).collect();
    let mut sizes = objects.sizes(&above)?;
    sizes.extend(found.iter().map(|file| file.size));
    if sizes.iter().sum::<u64>() > MOST as u64 {
        return Err(CheckoutError::Attributes(MOST));
    }
    let ids: Vec<_> = above
        .into_iter()
        .chain(found.iter().map(|file| file.id))
        .collect();
    let contents = objects.read(Kind::Blob, &ids)?;
    // The limit is judged by the sizes that the worker gave; the contents are proven.
    for ((id, size), content) in ids.iter().zip(&sizes).zip(&contents) {
        if content.len() as u64 != *size {
            return Err(WorkerError::forged(*id).into());
        }
    }
    // Most files are about line ends alone. If one asks for a filter, another may do so through a macro.
    let asks = |content: &Vec<u8>| content.windows(6).any(|word| word == b"filter");
    if !contents.iter().any(asks) {
        return Ok(());
    }
    // git's paths: those of the whole tree, whichever directory of the tree is written.
    let directory = |file: &PlannedFile| {
        let directory = file.path.parent().unwrap_or(Path::new(""));
        budget.subdirectory.join(directory)
    };
    let above = plan.attributes_above.iter().map(|(path, _)| path.clone());
    let directories = above.chain(found.iter().map(|file| directory(file)));
    let mut files: Vec<(PathBuf, Vec<u8>)> = directories.zip(contents).collect();
    // The file of a deeper directory overrides the files above it.
    files.sort_by_key(|(path, _)| path.components().count());
    let filters = Filters::read(&files).map_err(|source| CheckoutError::Io {
        what: "read the .gitattributes files of",
        path: TOP.into(),
        source,
    })?;
    for (n, file) in planned.iter().enumerate() {
        if n % BATCH == 0 {
            deadline.check()?;
        }
        let path = file.path.as_os_str().as_bytes();
        if budget.rules.takes_unfiltered(path) {
            continue;
        }
        let in_tree = budget.subdirectory.join(&file.path);
        if let Some(filter) = filters.of(in_tree.as_os_str().as_bytes()) {
            let path = name::display_path(path);
            return Err(CheckoutError::Filter { path, filter });
        }
    }
    Ok(())
}

/// The filters that all `.gitattributes` files of a tree ask for.
struct Filters {
    search: Search,
    names: MetadataCollection,
}

impl Filters {
    fn read(files: &[(PathBuf, Vec<u8>)]) -> std::io::Result<Self> {
        let (mut search, mut names) = (Search::default(), MetadataCollection::default());
        for (directory, content) in files {
            let source = Path::new(TOP).join(directory).join(name::ATTRIBUTES);
            // As in git, macros are allowed only in the file at the top.
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

    /// Returns the name of the filter for the file at `path`, if there is one.
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
