//! The messages that `docs/faq.md` quotes are the programs' own: what stands between two `…` is in their source.

#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::fs;
use std::path::{Path, PathBuf};

/// The shortest part of a message that is looked for, in bytes: a shorter one stands everywhere.
const SHORTEST: usize = 12;

/// Parts that the programs put together as they run: a verb, a name, a cause.
const MADE_AT_RUN_TIME: [&str; 4] = [
    "the restarter does not let this user restart",
    ". The administrator of this host says who may, in /etc/pp-restarter/policy.d.",
    "pp-restart: too many requests to restart",
    "did not come back: its program ended with an error; it is",
];

fn files(directory: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, all);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            all.push(path);
        }
    }
}

/// The source as it is printed: literals that go over several lines are one, and blanks are one.
fn printed(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap();
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\\n") {
        out.push_str(before);
        rest = after.trim_start();
    }
    one_blank(
        &(out + rest)
            .replace("\\u{2026}", "…")
            .replace("\\\"", "\"")
            .replace("\\n", "\n"),
    )
}

fn one_blank(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_message_of_the_page_is_one_that_the_programs_print() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut all = Vec::new();
    for crate_ in ["fetcher", "restarter", "protocol", "trusted"] {
        files(&top.join(crate_).join("src"), &mut all);
    }
    let source: String = all
        .iter()
        .map(|path| printed(&fs::read_to_string(path).unwrap()))
        .collect();
    let page = include_str!("../../docs/faq.md");
    let mut messages = 0;
    for rest in page.split("<!-- not run: a message -->\n```text\n").skip(1) {
        let message = rest.split("```").next().unwrap();
        messages += 1;
        for line in message.lines() {
            for part in line.split('…').map(one_blank) {
                let known = MADE_AT_RUN_TIME.contains(&part.as_str()) || source.contains(&part);
                assert!(part.len() < SHORTEST || known, "no program prints {part:?}");
            }
        }
    }
    assert!(messages >= 25, "{messages} messages");
}
