//! What is shipped to be copied is accepted by the program, and says what the program says.

use std::fs;
use std::path::Path;

use crate::config::{self, fragment::Fragment};
use pp_protocol::UnitName;

const CONFIG: &str = include_str!("../../../packaging/etc/config.toml");
const PAGE: &str = include_str!("../../../packaging/man/pp-fetcher.toml.5.scd");

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
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/examples/todo_django");
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
fn every_other_example_is_accepted_with_its_units_in_their_order() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/examples");
    let units = |names: &[UnitName]| {
        names
            .iter()
            .map(|unit| unit.to_string())
            .collect::<Vec<_>>()
    };
    type Names = &'static [&'static str];
    let cases: [(&str, Names, Names, Names); 6] = [
        ("app_node", &["app_node"], &["app_node.service"], &[]),
        ("app_php", &["app_php"], &[], &["php8.2-fpm.service"]),
        ("site_static", &["site_static"], &[], &[]),
        (
            "todo_celery",
            &["todo_celery"],
            &[
                "celery.todo_celery.service",
                "gunicorn.todo_celery.service",
                "celery-beat.todo_celery.service",
            ],
            &[],
        ),
        ("todo_uv", &["todo_uv"], &["gunicorn.todo_uv.service"], &[]),
        ("ssh_agent", &["shop", "todo"], &[], &[]),
    ];
    for (example, apps, restart, reload) in cases {
        let config = config::load(&examples.join(example)).unwrap();
        assert!(config.broken.is_empty(), "{:?}", config.broken);
        assert!(config.ignored.is_empty(), "{:?}", config.ignored);
        let names: Vec<_> = config.apps.iter().map(|app| app.name.as_str()).collect();
        assert_eq!(names, apps);
        assert_eq!(units(&config.apps[0].restart), restart);
        assert_eq!(units(&config.apps[0].reload), reload);
        assert_eq!(
            units(&config.apps[0].elsewhere),
            reload,
            "php-fpm works elsewhere"
        );
    }
}

#[test]
fn the_page_for_people_names_every_key() {
    let page = include_str!("../../../docs/configuration.md");
    for (table, keys) in config::keys::TABLES {
        let table = table.trim_matches(['[', ']']);
        for key in keys {
            let named = match table {
                "" => format!("`{key}`"),
                table => format!("`{table}.{key}`"),
            };
            assert!(
                page.contains(&named),
                "{named} is not in docs/configuration.md"
            );
        }
    }
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
        "", "ssh", "https", "verify", "deploy", "restart", "health", "hooks", "report",
    ];
    for table in tables.into_iter().chain(["[submodule]", "[window]"]) {
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
