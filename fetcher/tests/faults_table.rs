//! `FAULTS.md`, the tests and what they see printed are kept in step.

#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The fault suites, one after the other; the last is the one that runs on a booted host.
fn suites() -> String {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let lab = tests.join("../../tests/tests/faults.rs");
    let files = fs::read_dir(tests).unwrap().flatten();
    let suites = files.filter(|file| file.file_name().to_string_lossy().starts_with("faults_"));
    suites
        .map(|file| file.path())
        .chain([lab])
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

/// Every word of `text` that begins so and ends at something else than a letter or `_`.
fn names(text: &str, start: &str) -> BTreeSet<String> {
    let after = text.split(start).skip(1);
    let end = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let names = after.map(|rest| format!("fault_{}", rest.split(end).next().unwrap()));
    names.collect()
}

/// Messages quoted in the column of what a person sees.
fn messages(page: &str) -> Vec<&str> {
    let rows = page
        .lines()
        .filter(|line| line.starts_with('|') && line.contains("`fault_"));
    let seen = rows.filter_map(|row| row.split(" | ").nth(2));
    seen.flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect()
}

#[test]
fn every_fault_has_a_row_and_every_row_a_test_that_sees_its_messages() {
    let page = include_str!("../FAULTS.md");
    let suites = suites();
    assert_eq!(names(page, "`fault_"), names(&suites, "\nfn fault_"));
    let messages = messages(page);
    assert!(messages.len() > 20, "{messages:?}");
    for message in messages {
        assert!(suites.contains(message), "no test sees {message:?}");
    }
}
