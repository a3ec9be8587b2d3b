//! `ADVICE.md`, the messages and the tests that follow them are kept in step: no advice without a row, no
//! row without a test.

#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::fs;
use std::path::{Path, PathBuf};

use source::{joined, rust_files};

mod source;

fn text_of(directories: &[PathBuf]) -> Vec<(PathBuf, String)> {
    let all = directories.iter().flat_map(|path| rust_files(path));
    all.map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

/// The rows: what a message says, and the test that follows it, or why none does.
fn rows(page: &str) -> Vec<(&str, &str)> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split_once("` | ").unwrap())
        .map(|(said, test)| (said, test.trim_end_matches(" |")))
        .collect()
}

#[test]
fn every_advice_has_a_row_and_every_row_a_test() {
    let page = include_str!("../ADVICE.md");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = text_of(&[here.join("src")]);
    let joined: Vec<_> = source
        .iter()
        .map(|(path, text)| (path, joined(text)))
        .collect();
    let tests: String = text_of(&[
        here.join("tests"),
        here.join("src"),
        here.join("../tests/tests"),
    ])
    .into_iter()
    .map(|(_, text)| text)
    .collect();
    let rows = rows(page);
    assert!(rows.len() > 60, "{} rows", rows.len());
    for (said, test) in &rows {
        assert!(
            joined.iter().any(|(_, text)| text.contains(said)),
            "nothing says {said:?}"
        );
        for name in test.split('`').skip(1).step_by(2) {
            assert!(
                tests.contains(&format!("fn {name}(")),
                "there is no test {name}"
            );
        }
        assert!(
            test.contains('`') || test.starts_with("looks"),
            "{said:?} has no test"
        );
    }
    // A line of advice begins in a message with a newline and two blanks.
    for (path, text) in &joined {
        for part in text.split("\\n  ").skip(1) {
            let line: String = part.chars().take_while(|c| *c != '\n').collect();
            let line = line.split("\\n").next().unwrap();
            // What is put in here is some other message, with a row of its own.
            let of_its_own =
                line.trim_start().starts_with(['{', '"', ' ']) || line.trim().len() < 4;
            let known = of_its_own || rows.iter().any(|(said, _)| line.contains(said));
            assert!(known, "{}: no row for {line:?}", path.display());
        }
    }
}
