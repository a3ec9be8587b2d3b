//! What is shipped to be copied is accepted by the programs, and says what they say.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

use std::fs;
use std::path::Path;

use pp_fetcher::config::{self, fragment::Fragment};
use pp_restarter::policy::names::Names;
use pp_restarter::policy::{Decision, Policy, parse};

const CONFIG: &str = include_str!("../etc/config.toml");
const POLICY: &str = include_str!("../examples/policy.d/todo_django.toml");
const PAGE: &str = include_str!("../man/pp-fetcher.toml.5.scd");

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

fn load(files: &[(&str, &str)]) -> config::Config {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("apps.d")).unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let config = config::load(directory.path()).unwrap();
    assert!(config.broken.is_empty(), "{:?}", config.broken);
    config
}

#[test]
fn the_example_app_is_accepted() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/todo_django");
    let config = config::load(&example).unwrap();
    assert!(config.broken.is_empty(), "{:?}", config.broken);
    assert!(config.ignored.is_empty(), "{:?}", config.ignored);
    assert_eq!(config.apps[0].name, "todo_django");
    assert_eq!(
        config.apps[0].restart[0].as_str(),
        "gunicorn.todo_django.service"
    );
}

#[test]
fn the_example_policy_allows_what_the_example_app_restarts() {
    let mut policy = Policy::default();
    parse::add(&mut policy, Path::new("todo.toml"), POLICY, &Everybody).unwrap();
    let caller = pp_restarter::policy::Caller {
        uid: 1,
        gid: 1,
        groups: vec![1000],
        pid: 1,
    };
    let unit = "gunicorn.todo_django.service";
    let decision = policy.decide(&caller, pp_protocol::Verb::Restart, unit);
    assert_eq!(decision, Decision::Allowed(0));
}

#[test]
fn the_shipped_configuration_sets_nothing() {
    assert!(
        CONFIG
            .lines()
            .all(|line| line.is_empty() || line.starts_with('#'))
    );
    assert!(load(&[("config.toml", CONFIG)]).apps.is_empty());
}

/// Taking the `#` off every key changes no default, but for keys that say they are unset.
#[test]
fn the_shipped_configuration_names_the_true_defaults() {
    let app = "repository = \"file:///r\"\n[deploy]\nroot = \"/srv/x\"\n";
    let is_key = |line: &&str| {
        line.starts_with("#[")
            || line.split_once('=').is_some_and(|(key, _)| {
                key.trim_start_matches('#')
                    .trim_end()
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_')
            })
    };
    let keys: Vec<&str> = CONFIG
        .lines()
        .filter(is_key)
        .map(|l| l.trim_start_matches('#'))
        .collect();
    assert!(keys.len() > 14, "{keys:#?}");
    let all = keys.join("\n");
    toml::from_str::<Fragment>(&all).unwrap();
    let set = load(&[("config.toml", &all), ("apps.d/x.toml", app)])
        .apps
        .remove(0);
    let unset = load(&[("apps.d/x.toml", app)]).apps.remove(0);
    assert_eq!(set.interval, unset.interval);
    assert_eq!(set.follow, unset.follow);
    assert_eq!(set.fast_forward_only, unset.fast_forward_only);
    assert_eq!(set.deploy.build_timeout, unset.deploy.build_timeout);
    assert_eq!(set.deploy.keep, unset.deploy.keep);
    assert_eq!(set.health.expect, unset.health.expect);
    assert_eq!(set.health.within, unset.health.within);
    assert_eq!(set.health.steady, unset.health.steady);
}

#[test]
fn the_page_explains_every_key_there_is() {
    let tables = [
        "", "ssh", "https", "verify", "deploy", "restart", "health", "hooks",
    ];
    for table in tables.into_iter().chain(["[submodule]"]) {
        let text = if table.is_empty() {
            "nonsense = 1".to_owned()
        } else {
            format!("[{table}]\nnonsense = 1")
        };
        // "unknown field `nonsense`, expected one of `repository`, …": the list of all keys.
        let error = toml::from_str::<Fragment>(&text).unwrap_err();
        let known: Vec<&str> = error.message().split('`').skip(3).step_by(2).collect();
        assert!(known.len() > 1, "{}", error.message());
        for key in known {
            let shown = [
                format!("*{key}* ("),
                format!("# [{key}]"),
                format!("# [[{key}]]"),
                format!("*\\[{table}.{key}\\]* ("),
            ];
            assert!(
                shown.iter().any(|s| PAGE.contains(s)),
                "{table}.{key} is not in pp-fetcher.toml(5)"
            );
        }
    }
}
