//! The messages that `docs/faq.md` quotes are the programs' own: what stands between two `…` is in their source.

#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::fs;
use std::path::Path;

use source::{joined, rust_files};

mod source;

/// The shortest part of a message that is looked for, in bytes: a shorter one stands everywhere.
const SHORTEST: usize = 12;

/// Parts that the programs put together as they run: a verb, a name, a cause.
const MADE_AT_RUN_TIME: [&str; 4] = [
    "the restarter does not let this user restart",
    ". The administrator of this host says who may, in /etc/pp-restarter/policy.d.",
    "pp-restart: too many requests to restart",
    "did not come back: its program ended with an error; it is",
];

/// The source as it is printed, on one line: blanks are one.
fn printed(text: &str) -> String {
    one_blank(
        &joined(text)
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
    let crates = ["fetcher", "restarter", "protocol", "trusted"];
    let source: String = crates
        .iter()
        .flat_map(|name| rust_files(&top.join(name).join("src")))
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
