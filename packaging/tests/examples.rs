//! The policies that are shipped to be copied are accepted by the restarter, and allow what the example apps need. The
//! example apps themselves and pp-fetcher.toml(5) are held against pp-fetcher in its own tests.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::fs;
use std::path::{Path, PathBuf};

use pp_protocol::Verb;
use pp_restarter::policy::names::Names;
use pp_restarter::policy::{Caller, Decision, Policy, parse};

const POLICY: &str = include_str!("../examples/policy.d/todo_django.toml");

/// Every name exists, as id 1000.
struct Everybody;

impl Names for Everybody {
    fn uid(&self, _: &str) -> nix::Result<Option<u32>> {
        Ok(Some(1000))
    }

    fn gid(&self, _: &str) -> nix::Result<Option<u32>> {
        Ok(Some(1000))
    }
}

/// A member of the group that the policies name.
fn member() -> Caller {
    Caller {
        uid: 1,
        gid: 1,
        groups: vec![1000],
        pid: 1,
    }
}

/// The files in `directory`, which may be absent.
fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The units that the app's file names under `[restart]`, at `key`.
fn units(app: &toml::Table, key: &str) -> Vec<String> {
    let Some(list) = app.get("restart").and_then(|table| table.get(key)) else {
        return Vec::new();
    };
    let names = list.as_array().unwrap().iter();
    names
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_example_policy_allows_what_the_example_app_restarts() {
    let mut policy = Policy::default();
    parse::add(&mut policy, Path::new("todo.toml"), POLICY, &Everybody).unwrap();
    let unit = "gunicorn.todo_django.service";
    let decision = policy.decide(&member(), Verb::Restart, unit);
    assert_eq!(decision, Decision::Allowed(0));
}

#[test]
fn an_example_with_a_policy_of_its_own_needs_no_more_than_that_policy_allows() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut tried = 0;
    for example in files(&examples) {
        let mut policy = Policy::default();
        let policies = files(&example.join("policy.d"));
        for file in &policies {
            let text = fs::read_to_string(file).unwrap();
            parse::add(&mut policy, file, &text, &Everybody).unwrap();
        }
        if policies.is_empty() {
            continue;
        }
        for file in files(&example.join("apps.d")) {
            let app: toml::Table = toml::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
            for (key, verb) in [("units", Verb::Restart), ("reload", Verb::Reload)] {
                for unit in units(&app, key) {
                    let decision = policy.decide(&member(), verb, &unit);
                    let allowed = matches!(decision, Decision::Allowed(_));
                    assert!(allowed, "{}: {unit}, {key}", file.display());
                    tried += 1;
                }
            }
        }
    }
    assert!(tried >= 6, "{tried}");
}
