//! Configuration files as people write them, with the mistakes people make.

use std::fs;
use std::time::Duration;

use crate::config::settings::Follow;
use crate::config::{Config, load};

const SMALLEST: &str = "repository = \"forge:todo.git\"\n[deploy]\nroot = \"/srv/todo\"\n";

fn read(common: &str, apps: &[(&str, &str)]) -> (tempfile::TempDir, Config) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.toml"), common).unwrap();
    fs::create_dir(dir.path().join("apps.d")).unwrap();
    for (name, text) in apps {
        fs::write(dir.path().join("apps.d").join(name), text).unwrap();
    }
    let config = load(dir.path()).unwrap();
    (dir, config)
}

/// The message about one app's file, without the directory it lies in.
fn mistake(text: &str) -> String {
    let (dir, config) = read("", &[("todo.toml", text)]);
    let all: Vec<_> = config.broken.iter().map(ToString::to_string).collect();
    all.join("\n")
        .replace(&format!("{}/apps.d/", dir.path().display()), "")
}

#[test]
fn the_smallest_file_has_sound_defaults() {
    let (_dir, config) = read("", &[("todo.toml", SMALLEST)]);
    let app = &config.apps[0];
    assert_eq!(
        (app.name.as_str(), &app.follow),
        ("todo", &Follow::Branch("main".into()))
    );
    assert_eq!(app.interval, Duration::from_secs(60));
    assert_eq!(app.deploy.build_timeout, Duration::from_secs(900));
    assert_eq!(
        (
            app.deploy.keep,
            app.health.expect.to_string(),
            app.fast_forward_only
        ),
        (5, "200".to_owned(), true)
    );
    assert_eq!(app.health.within, Duration::from_secs(30));
    assert_eq!(app.health.steady, Duration::from_secs(8));
    assert_eq!(app.health.timeout, Duration::from_secs(15));
}

#[test]
fn an_app_says_what_differs_from_the_defaults() {
    let common = "branch = \"main\"\ninterval = \"2m\"\n[deploy.env]\nA = \"1\"\nB = \"1\"\n";
    let own = "tag = \"v*\"\nrepository = \"forge:todo.git\"\n[deploy]\nroot = \"/srv/todo\"\n\
               env = { B = \"2\" }\n";
    let (_dir, config) = read(common, &[("todo.toml", own)]);
    let app = &config.apps[0];
    assert_eq!(app.follow, Follow::Tag("v*".into()));
    assert_eq!(app.interval, Duration::from_secs(120));
    let env: Vec<_> = app
        .deploy
        .env
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(env, ["A=1", "B=2"]);
}

#[test]
fn a_mistake_is_told_with_file_line_column_and_mend() {
    let cases = [
        (
            "intervall = \"5m\"\n",
            "todo.toml:1:1: unknown key `intervall`",
            "did you mean `interval`?",
        ),
        (
            "[deploy]\nroot = 3\n",
            "todo.toml:2:8: invalid type: integer `3`",
            "",
        ),
        (
            "interval = \"5 minutes\"\n",
            "todo.toml:1:12: `5 minutes` is not a duration",
            "1h30m",
        ),
        ("repository = \"x\n", "todo.toml:1:", ""),
        (
            "branch = \"a\"\nbranch = \"b\"\n",
            "todo.toml:2:1: duplicate key",
            "",
        ),
        ("", "todo.toml: `repository` is missing", "such as"),
        (
            "repository = \"f:x\"\n",
            "todo.toml: `deploy.root` is missing",
            "/var/www/projects/todo",
        ),
    ];
    for (text, what, mend) in cases {
        let message = mistake(text);
        assert!(
            message.starts_with(what) && message.contains(mend),
            "{text:?}: {message}"
        );
    }
}

#[test]
fn what_cannot_be_is_refused_with_the_key_that_says_it() {
    let cases = [
        (
            "branch = \"a\"\ntag = \"b\"\n",
            "",
            "only one of `branch`, `tag` and `ref`",
        ),
        ("interval = \"1s\"\n", "", "under five seconds"),
        (
            "",
            "[https]\ntoken_file = \"x.token\"\n",
            "`https.token_file` is x.token, not an absolute path",
        ),
        (
            "",
            "[https]\ntoken = \"x\"\n",
            "unknown key `token`\n  known here: token_file",
        ),
        (
            "",
            "shared = [\"../other\"]\n",
            "`../other` leaves the release",
        ),
        ("", "shared = [\"/etc\"]\n", "`/etc` leaves the release"),
        (
            "",
            "build = \"../deploy.sh\"\n",
            "`deploy.build` leaves the release",
        ),
        (
            "",
            "[restart]\nunits = [\"todo\"]\n",
            "write the whole name, ending in `.service`",
        ),
        (
            "",
            "[restart]\nunits = [\"*.service\"]\n",
            "there are no wildcards",
        ),
        ("", "[health]\nurl = \"localhost:8000\"\n", "`health.url`"),
        (
            "",
            "[verify]\nallowed_signers = \"x\"\n",
            "not an absolute path",
        ),
    ];
    for (before, after, expected) in cases {
        let message = mistake(&format!("{before}{SMALLEST}{after}"));
        assert!(message.contains(expected), "{before}{after}: {message}");
    }
}

#[test]
fn one_bad_file_does_not_stop_the_other_apps_and_odd_names_are_named() {
    let files = [
        ("good.toml", SMALLEST),
        ("bad.toml", "nonsense"),
        ("Old.toml", SMALLEST),
        ("good.toml.dpkg-old", SMALLEST),
    ];
    let (_dir, config) = read("", &files);
    assert_eq!(config.apps.len(), 1);
    assert_eq!(config.broken.len(), 1);
    assert_eq!(config.ignored.len(), 2, "{:?}", config.ignored);
}
