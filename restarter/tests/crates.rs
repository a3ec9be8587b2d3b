//! CRATES.md lists what is linked into the program whose one process stays root, and nothing else.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::collections::BTreeSet;
use std::process::Command;

#[test]
fn every_crate_that_root_could_execute_is_in_the_list() {
    let out = Command::new(env!("CARGO"))
        .args([
            "tree",
            "-p",
            "pp-restarter",
            "--no-default-features",
            "-e",
            "normal",
        ])
        .args(["--prefix", "none", "--locked", "--format", "{p}"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{said}");
    let linked: BTreeSet<_> = String::from_utf8(out.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .filter(|name| !name.is_empty())
        .collect();
    let listed: Vec<_> = include_str!("../CRATES.md")
        .lines()
        .filter_map(|line| {
            line.strip_prefix("| ")?
                .split(' ')
                .next()
                .map(str::to_owned)
        })
        .filter(|name| name != "crate")
        .collect();
    let once: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(once.len(), listed.len(), "a crate is listed twice");
    let new: Vec<_> = linked.difference(&once).collect();
    let gone: Vec<_> = once.difference(&linked).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "not in the list: {new:?}; not linked: {gone:?}"
    );
}
