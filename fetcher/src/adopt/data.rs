//! Decides which of a checkout's files that git does not have outlive releases, which a build makes anew, and which only
//! a person can tell. Pure.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// A file or directory of a checkout that git does not have, or that differs from the commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Extra {
    /// The path, relative to the checkout; a directory of which git has nothing stands for all that is in it.
    pub path: String,
    /// What is there.
    pub kind: ExtraKind,
    /// Whether the commit has a file at this path, which was changed.
    pub tracked: bool,
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ExtraKind {
    /// A database of SQLite, by its first bytes.
    Database,
    /// A virtual environment of Python.
    VirtualEnvironment,
    /// A directory.
    Directory,
    /// Any other file.
    File,
}

/// What becomes of the extra files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sorted {
    /// Data: kept in `shared/`; a directory with a / at its end.
    pub shared: Vec<String>,
    /// What a build or Python makes anew: stays behind.
    pub left: Vec<String>,
    /// What a person has to decide.
    pub unclear: Vec<String>,
}

/// Directories that hold what users have uploaded, by the names that frameworks use.
const DATA_DIRECTORIES: &[&str] = &["media", "uploads", "upload", "data", "storage", "files"];

/// Files of settings that belong to the host.
const SETTINGS: &[&str] = &[
    "local_settings.py",
    "settings_local.py",
    "secrets.py",
    "config.local.php",
];

/// What is made anew by whoever needs it.
const MADE_ANEW: &[&str] = &[
    "__pycache__",
    "node_modules",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".tox",
    ".cache",
    ".venv",
    "venv",
    "env",
];

/// Files that SQLite keeps beside a database: they go with it.
pub(super) const BESIDE_A_DATABASE: &[&str] = &["-journal", "-wal", "-shm"];

/// Sorts the extra files. `shared` and `leave` are the decisions of a person, which come first.
#[must_use]
pub(crate) fn sort(extras: &[Extra], shared: &[String], leave: &[String]) -> Sorted {
    // A directory that is named answers for all that is in it.
    let named = |list: &[String], path: &str| {
        list.iter()
            .any(|one| Path::new(path).starts_with(one.trim_end_matches('/')))
    };
    let within = |path: &str| {
        let mut above = shared.iter().map(|one| one.trim_end_matches('/'));
        above.any(|one| one != path && Path::new(path).starts_with(one))
    };
    let databases: Vec<_> = extras
        .iter()
        .filter(|extra| extra.kind == ExtraKind::Database)
        .map(|extra| extra.path.as_str())
        .collect();
    let mut sorted = Sorted::default();
    for extra in extras {
        let path = extra.path.trim_end_matches('/');
        if beside_a_database(path, &databases) || (within(path) && !named(leave, path)) {
            continue;
        }
        let list = if named(leave, path) {
            &mut sorted.left
        } else if named(shared, path) {
            &mut sorted.shared
        } else {
            match guess(extra) {
                Guess::Data => &mut sorted.shared,
                Guess::MadeAnew => &mut sorted.left,
                Guess::Unclear => &mut sorted.unclear,
            }
        };
        let slash = if extra.kind == ExtraKind::Directory {
            "/"
        } else {
            ""
        };
        list.push(format!("{path}{slash}"));
    }
    sorted
}

enum Guess {
    Data,
    MadeAnew,
    Unclear,
}

fn guess(extra: &Extra) -> Guess {
    let path = Path::new(extra.path.trim_end_matches('/'));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.as_ref();
    match extra.kind {
        ExtraKind::Database => Guess::Data,
        // A file of the commit that somebody has changed: the release would not have the change.
        _ if extra.tracked => Guess::Unclear,
        ExtraKind::VirtualEnvironment => Guess::MadeAnew,
        _ if MADE_ANEW.contains(&name) || name.ends_with(".egg-info") => Guess::MadeAnew,
        ExtraKind::Directory if DATA_DIRECTORIES.contains(&name) => Guess::Data,
        ExtraKind::Directory => Guess::Unclear,
        ExtraKind::File if name.ends_with(".pyc") || name.ends_with(".log") => Guess::MadeAnew,
        ExtraKind::File if name.starts_with(".env") || SETTINGS.contains(&name) => Guess::Data,
        ExtraKind::File => Guess::Unclear,
    }
}

fn beside_a_database(path: &str, databases: &[&str]) -> bool {
    BESIDE_A_DATABASE
        .iter()
        .filter_map(|ending| path.strip_suffix(ending))
        .any(|database| databases.contains(&database))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extra(path: &str, kind: ExtraKind) -> Extra {
        Extra {
            path: path.into(),
            kind,
            tracked: false,
        }
    }

    fn usual() -> Vec<Extra> {
        use ExtraKind::{Database, Directory, File, VirtualEnvironment};
        let mut extras = vec![
            extra("db.sqlite3", Database),
            extra("db.sqlite3-wal", File),
            extra("media/", Directory),
            extra("venv/", VirtualEnvironment),
            extra("todo/__pycache__/", Directory),
            extra(".env", File),
            extra("notes.txt", File),
            extra("export/", Directory),
        ];
        extras.push(Extra {
            tracked: true,
            ..extra("todo/settings.py", File)
        });
        extras
    }

    #[test]
    fn what_the_name_or_the_content_tells_is_sorted_and_the_rest_is_asked() {
        let sorted = sort(&usual(), &[], &[]);
        assert_eq!(sorted.shared, ["db.sqlite3", "media/", ".env"]);
        assert_eq!(sorted.left, ["venv", "todo/__pycache__/"]);
        assert_eq!(sorted.unclear, ["notes.txt", "export/", "todo/settings.py"]);
    }

    #[test]
    fn a_person_decides_before_the_names_do() {
        let shared = ["export".to_owned(), "todo/settings.py".to_owned()];
        let leave = ["notes.txt".to_owned(), "media/".to_owned()];
        let sorted = sort(&usual(), &shared, &leave);
        assert_eq!(
            sorted.shared,
            ["db.sqlite3", ".env", "export/", "todo/settings.py"]
        );
        assert!(sorted.left.contains(&"media/".to_owned()));
        assert!(sorted.unclear.is_empty());
    }

    #[test]
    fn a_directory_that_is_named_answers_for_what_is_in_it() {
        use ExtraKind::{Database, Directory, File};
        let extras = [
            extra("export/a.csv", File),
            extra("export/b.sqlite3", Database),
            extra("var/log.txt", File),
            extra("exports.txt", File),
            // As it is found because it was named.
            extra("export", Directory),
        ];
        let sorted = sort(&extras, &["export/".to_owned()], &["var".to_owned()]);
        assert_eq!(sorted.shared, ["export/"]);
        assert_eq!(sorted.left, ["var/log.txt"]);
        assert_eq!(sorted.unclear, ["exports.txt"]);
    }

    #[test]
    fn a_changed_database_of_the_commit_is_data() {
        let changed = Extra {
            tracked: true,
            ..extra("db.sqlite3", ExtraKind::Database)
        };
        assert_eq!(sort(&[changed], &[], &[]).shared, ["db.sqlite3"]);
    }
}
