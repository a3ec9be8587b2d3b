//! Kind G: the configuration is checked as a whole, when it is read, and a mistake in one app's file is
//! nobody else's.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod site;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use site::Site;
use site::typed::type_whole_line;

/// Another app of this name with this root.
fn app(site: &Site, name: &str, root: &str) {
    let at = site.home.path().display();
    let text = format!("repository = \"file://{at}/todo.git\"\n[deploy]\nroot = \"{root}\"\n");
    site.home.app(name, &text);
}

#[test]
fn two_apps_with_one_root_are_both_refused_and_both_files_are_named() {
    let site = Site::with_one_live();
    let root = site.root().display().to_string();
    symlink(site.root(), site.home.path().join("link")).unwrap();
    let link = site.home.path().join("link").display().to_string();
    let cases = [
        (root.clone(), "is also the root of"),
        (format!("{root}/"), "is also the root of"),
        (link, "is also the root of"),
        (format!("{root}/shared/inner"), "one inside the other"),
        (
            site.home.path().display().to_string(),
            "one inside the other",
        ),
    ];
    for (other, how) in cases {
        app(&site, "copy", &other);
        for name in ["todo", "copy"] {
            let said = site.run(&["poll", name]);
            said.ended(2)
                .has(&["todo.toml", "copy.toml", how, "a directory of its own"]);
        }
        assert_eq!(site.served().as_deref(), Some("one"));
    }
    let beside = format!("{root}-2");
    app(&site, "copy", &beside);
    site.run(&["poll", "copy"]).ended(0);
    site.run(&["poll", "todo"]).ended(0);
}

#[test]
fn a_value_that_would_fail_after_the_switch_is_refused_when_it_is_read() {
    let site = Site::with_one_live();
    let at = site.home.path().display().to_string();
    for (health, expected) in [
        ("url = \"http://:80/\"", "`health.url`"),
        ("url = \"http://h:99999/\"", "a port that is none"),
        ("url = \"http://h:x/\"", "a port that is none"),
        ("url = \"http://h:0/\"", "a port that is none"),
        ("expect = 99", "`99` is no HTTP status"),
        ("expect = \"9xx\"", "is no HTTP status"),
        ("keep = 3", "`keep` belongs under [deploy]"),
        ("branch = \"x\"", "belongs at the top of the file"),
        ("headers = { Host = \"x\" }", "as `host` under [health]"),
        ("within = \"1s\"\ntimeout = \"2s\"", "`health.timeout`"),
    ] {
        let text = format!(
            "repository = \"file://{at}/todo.git\"\n[deploy]\nroot = \"{at}/root\"\n[health]\n{health}\n"
        );
        site.home.app("todo", &text);
        site.poll().ended(2).has(&["todo.toml", expected]);
    }
    let long = "\"images/a-file-with-a-long-name.png\", ".repeat(300);
    let long = format!("[tree]\nunfiltered = [{long}]");
    for (section, expected) in [
        (
            "[restart]\nelsewhere = [\"x.service\"]",
            "neither in `units` nor in `reload`",
        ),
        ("[tree]\nleave_out = [\"/x\"]", "`tree.leave_out`"),
        (&long, "`tree.unfiltered` has more than 8 KiB"),
        ("[fetch]\nlimit = \"2GB\"", "is not a size"),
        ("[[submodule]]\npath = \"x\"", "empty = true"),
        (
            "[[submodule]]\npath = \"x\"\nempty = true\nrepository = \"f:x\"",
            "take one of the two out",
        ),
    ] {
        let text = format!(
            "repository = \"file://{at}/todo.git\"\n[deploy]\nroot = \"{at}/root\"\n{section}\n"
        );
        site.home.app("todo", &text);
        site.poll().ended(2).has(&["todo.toml", expected]);
    }
    assert_eq!(site.served().as_deref(), Some("one"));
}

#[test]
fn a_url_with_a_query_and_no_path_is_asked_as_a_browser_would() {
    let site = Site::new();
    let path = site.home.path().join("apps.d/todo.toml");
    let text = fs::read_to_string(&path).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("url = "))
        .unwrap();
    let with_query = line.replace("/\"", "?x=1\"");
    fs::write(&path, text.replace(line, &with_query)).unwrap();
    site.push("one", "200", "");
    site.poll().ended(0);
}

#[test]
fn a_broken_file_of_another_app_does_not_fail_a_poll_that_names_this_one() {
    let site = Site::with_one_live();
    site.home.app("broken", "nonsense");
    let said = site.poll();
    said.ended(0);
    assert!(!said.text.contains("broken.toml"), "{said:?}");
    site.run(&["poll"]).ended(2).has(&["broken.toml:1:"]);
    site.run(&["status", "todo"]).ended(0);
    site.run(&["status"]).ended(2).has(&["broken.toml:1:"]);
    for command in [
        ["poll", "broken"],
        ["history", "broken"],
        ["retry", "broken"],
    ] {
        let said = site.run(&command);
        said.ended(2)
            .has(&["broken.toml:1:", "its file has the mistake above"]);
        assert!(!said.text.contains("is configured"), "{said:?}");
    }
    site.run(&["poll", "none"])
        .ended(2)
        .has(&["configured: broken (with a mistake), todo"]);
}

#[test]
fn a_mistake_in_the_apps_file_that_was_mended_lifts_the_hold_it_caused() {
    let site = Site::with_one_live();
    site.configure("", "");
    let path = site.home.path().join("apps.d/todo.toml");
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, good.replace("build = \"build\"", "build = \"bild\"")).unwrap();
    site.push("two", "200", "");
    site.poll()
        .ended(1)
        .has(&["the build script bild is not in the release"]);
    site.poll().ended(0).has(&["is held back"]);
    fs::write(&path, &good).unwrap();
    site.poll()
        .ended(0)
        .has(&["it was held back, and is tried again", "good"]);
    assert_eq!(site.served().as_deref(), Some("two"));
}

#[test]
fn a_wrong_health_url_is_the_configurations_fault_and_its_mend_is_taken_at_once() {
    let site = Site::with_one_live();
    let path = site.home.path().join("apps.d/todo.toml");
    let good = fs::read_to_string(&path).unwrap();
    let line = good
        .lines()
        .find(|line| line.starts_with("url = "))
        .unwrap()
        .to_owned();
    fs::write(&path, good.replace(&line, "url = \"http://127.0.0.1:1/\"")).unwrap();
    site.push("two", "200", "");
    let said = site.poll();
    said.ended(1)
        .has(&["rolled back", "in the same way before this deploy", "`url`"]);
    assert!(site.state().quarantined.is_empty());
    fs::write(&path, &good).unwrap();
    // Cron's poll, which would have waited.
    site.run(&["poll"]).ended(0);
    assert_eq!(site.served().as_deref(), Some("two"));
}

#[test]
fn status_believes_the_link_and_not_only_the_state() {
    let site = Site::with_one_live();
    let earlier = site.state().earlier[0].name.clone();
    let link = site.root().join("current");
    fs::remove_file(&link).unwrap();
    symlink(format!("releases/{earlier}"), &link).unwrap();
    let said = site.run(&["status"]);
    said.ended(0)
        .has(&["switched", &earlier, "pp-fetcher rollback todo"]);
    site.run(&["status", "--json"])
        .has(&["\"state\": \"switched\""]);
    site.poll()
        .ended(0)
        .has(&["nothing was done, `current` leads to"]);
}

#[test]
fn a_file_that_is_not_utf_8_is_told_with_its_line_and_the_mend_ends_well() {
    let site = Site::with_one_live();
    let path = site.home.path().join("apps.d/todo.toml");
    let mut text = fs::read(&path).unwrap();
    text.extend(b"# caf\xe9\n");
    fs::write(&path, &text).unwrap();
    let said = site.poll();
    let lines = text.iter().filter(|b| **b == b'\n').count();
    said.ended(2).has(&[
        &format!("todo.toml:{lines}:6: the byte 0xe9 is not UTF-8"),
        "iconv",
    ]);
    type_whole_line(&said.text, "Latin-1: ");
    site.poll().ended(0);
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(0), Some(0)).unwrap();
        let said = site.poll();
        said.ended(2)
            .has(&["must be readable by the user", "chmod 644"]);
        type_whole_line(&said.text, "runs as: ");
        site.poll().ended(0);
    }
}
