//! RULES.md names tests that are there, and every rule has one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use source::rust_files;

mod source;

/// The names of all functions of all crates.
fn functions() -> BTreeSet<String> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for part in ["fetcher", "restarter", "protocol", "trusted", "tests"] {
        files.extend(rust_files(&top.join(part)));
    }
    let mut names = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        for part in text.split("fn ").skip(1) {
            let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            names.insert(part.get(..end.unwrap_or(0)).unwrap().to_owned());
        }
    }
    names
}

fn check(page: &str, rules: impl Iterator<Item = u32>) {
    let functions = functions();
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut named = 0;
    for word in page.split('`').skip(1).step_by(2) {
        if let Some(stem) = word
            .strip_suffix('*')
            .filter(|stem| stem.starts_with("rule_"))
        {
            let there = functions.iter().any(|name| name.starts_with(stem));
            assert!(there, "there is no test {word}");
        } else if word.ends_with(".rs") && word.contains('/') {
            assert!(top.join(word).is_file(), "there is no file {word}");
        } else if word.len() > 24
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        {
            assert!(functions.contains(word), "there is no test {word}");
            named += 1;
        }
    }
    assert!(named > 4, "{named}");
    for rule in rules {
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| {rule} |")));
        assert!(row.is_some(), "rule {rule} has no row");
    }
}

#[test]
fn every_rule_of_the_fetcher_has_a_test_that_is_there() {
    check(include_str!("../RULES.md"), (24..=36).chain([43]));
}

#[test]
fn every_rule_of_the_restarter_has_a_test_that_is_there() {
    check(
        include_str!("../../restarter/RULES.md"),
        (1..=23).chain(37..=42),
    );
}
