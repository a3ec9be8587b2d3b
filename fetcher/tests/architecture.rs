//! The pages about the structure are true: CONTRIBUTING.md names every crate and every room, libgit2 is in the
//! worker alone, and files and functions are of a size that a reader can hold.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use source::rust_files;

mod source;

/// The lines that a file of source may have, and a file of tests.
const LONGEST: (usize, usize) = (400, 500);

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    fs::read_to_string(top().join("CONTRIBUTING.md")).unwrap()
}

/// The first words of the rows of the table below `heading`, without backticks and slashes at their ends.
fn first_column(page: &str, heading: &str) -> BTreeSet<String> {
    let (_, table) = page
        .split_once(heading)
        .unwrap_or_else(|| panic!("no {heading}"));
    let rows = table.lines().skip(2).take_while(|row| row.starts_with('|'));
    rows.map(|row| {
        let cell = row.split('|').nth(1).unwrap().trim();
        cell.trim_matches('`').trim_end_matches('/').to_owned()
    })
    .collect()
}

#[test]
fn the_page_of_the_architecture_names_every_crate() {
    let manifest = fs::read_to_string(top().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&manifest).unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    let members: BTreeSet<_> = members
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    let page = page();
    assert_eq!(first_column(&page, "| folder | package"), members);
    for member in members {
        let manifest = fs::read_to_string(top().join(&member).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = toml::from_str(&manifest).unwrap();
        let name = manifest["package"]["name"].as_str().unwrap();
        assert!(
            page.contains(&format!("| `{member}/` | `{name}` |")),
            "{member}"
        );
    }
}

#[test]
fn the_page_of_the_architecture_names_every_room() {
    let library = fs::read_to_string(top().join("fetcher/src/lib.rs")).unwrap();
    let rooms: BTreeSet<_> = library
        .lines()
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'))
        .filter(|name| *name != "inside")
        .map(str::to_owned)
        .collect();
    assert_eq!(first_column(&page(), "| room of `fetcher/src`"), rooms);
}

#[test]
fn every_file_that_the_page_names_is_there() {
    let page = page();
    let named = page.split('`').skip(1).step_by(2);
    let paths = named.filter(|word| {
        word.contains('/')
            && !word.contains("ROOT")
            && !word.contains([' ', '*', '│'])
            && !word.starts_with(['/', '~'])
    });
    let mut count = 0;
    for path in paths {
        assert!(top().join(path).exists(), "there is no {path}");
        count += 1;
    }
    assert!(count > 20, "{count}");
}

#[test]
fn the_glossary_has_the_words_that_the_code_stands_on() {
    let words = first_column(&page(), "| word | what it is |");
    for word in [
        "app",
        "revision",
        "release",
        "attempt",
        "step",
        "unit",
        "job",
        "quarantine",
        "hold",
        "mirror",
        "worker",
        "front",
        "monitor",
    ] {
        assert!(words.contains(word), "{word}");
    }
}

/// What cargo links into the program of `package`, as names.
fn linked_into(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--locked",
            "-e",
            "normal,build",
            "--prefix",
            "none",
            "-p",
            package,
        ])
        .current_dir(top())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn libgit2_landlock_and_seccomp_are_in_the_worker_and_not_in_the_fetcher() {
    let foreign = ["git2", "libgit2-sys", "landlock", "seccompiler"];
    let worker = linked_into("pp-git-worker");
    let fetcher = linked_into("pp-fetcher");
    for name in foreign {
        assert!(
            worker.contains(name),
            "{name} is not in the worker: is the test still right?"
        );
        assert!(!fetcher.contains(name), "{name} is in pp-fetcher");
    }
    for name in [
        "openssl-sys",
        "libssh2-sys",
        "libz-sys",
        "pp-git-worker",
        "pp-restarter",
    ] {
        assert!(!fetcher.contains(name), "{name} is in pp-fetcher");
    }
}

#[test]
fn no_file_of_source_is_longer_than_a_reader_can_hold() {
    let mut files = Vec::new();
    for room in [
        "protocol/src",
        "trusted/src",
        "restarter/src",
        "fetcher/src",
        "fetcher/objects/src",
        "fetcher/worker/src",
    ] {
        files.extend(rust_files(&top().join(room)));
    }
    assert!(files.len() > 200, "{}", files.len());
    for file in files {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        let tests = file.to_string_lossy().ends_with("tests.rs");
        let most = if tests { LONGEST.1 } else { LONGEST.0 };
        assert!(lines <= most, "{} has {lines} lines", file.display());
    }
}
