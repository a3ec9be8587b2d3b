//! `pp-fetcher doctor`: each link of the chain is broken in turn, the finding names it with what mends it, and the
//! chain holds again after the mend. What depends on ssh is in `inside/doctor_ssh.rs`, the sandbox of the service in
//! the lab (`tests/tests/sandboxed.rs`).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

mod git_support;
mod site;

use std::fs;

use serde_json::Value;
use site::typed::mode;
use site::{Said, Site};

fn doctor(site: &Site) -> Said {
    site.run(&["doctor", "todo"])
}

/// Breaks something, and gives what the doctor finds then.
fn edit(site: &Site, from: &str, to: &str) {
    let path = site.home.path().join("apps.d/todo.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    fs::write(&path, text.replace(from, to)).unwrap();
}

/// The finding about `link` is a fault with these parts, and the exit code says so.
fn broken(site: &Site, link: &str, parts: &[&str]) {
    let said = doctor(site);
    said.ended(1).has(parts).has(&[" fault"]);
    let found = said.text.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some("FAULT") && line.contains(link)
    });
    assert!(found, "no fault of {link}: {}", said.text);
}

fn whole(site: &Site) {
    let said = doctor(site);
    assert!(!said.text.contains("FAULT"), "{}", said.text);
    said.ended(0);
}

#[test]
fn an_app_that_was_never_deployed_is_looked_at_as_far_as_it_is_there() {
    let site = Site::new();
    site.push("one", "200", "");
    let said = doctor(&site);
    said.ended(0).has(&[
        "answers: the branch main is",
        "build comes with the first release",
        "nothing is deployed yet",
        "todo: no fault",
    ]);
    assert!(!site.home.path().join("root").exists(), "nothing is made");
    assert!(
        !site.home.path().join("state/todo").exists(),
        "nothing is made"
    );
}

#[test]
fn an_app_that_is_well_is_said_to_be_and_nothing_is_written() {
    let site = Site::with_one_live();
    let list = || {
        let mut find = site.home.command("find");
        let found = find
            .args(["root", "state", "-printf", "%p %T@ %m\n"])
            .output()
            .unwrap();
        String::from_utf8(found.stdout).unwrap()
    };
    let before = list();
    let said = doctor(&site);
    said.ended(0)
        .has(&["is well", "build is in the live release", "is kept"]);
    assert_eq!(list(), before);
}

#[test]
fn a_branch_that_is_not_there_is_told_with_those_that_are() {
    let site = Site::with_one_live();
    edit(&site, "interval", "branch = \"production\"\ninterval");
    broken(&site, "forge", &["production", "main"]);
    edit(&site, "branch = \"production\"\n", "");
    whole(&site);
}

#[test]
fn a_repository_that_is_not_there_is_told() {
    let site = Site::with_one_live();
    edit(&site, "/todo.git", "/tudo.git");
    broken(&site, "forge", &["tudo.git"]);
    edit(&site, "/tudo.git", "/todo.git");
    whole(&site);
}

#[test]
fn directories_that_cannot_be_written_are_told() {
    let site = Site::with_one_live();
    let root = site.root();
    mode(&root, 0o555);
    broken(&site, "root", &["cannot be written", "chmod 2775"]);
    mode(&root, 0o2775);
    let shared = root.join("shared/data");
    mode(&shared, 0o555);
    doctor(&site)
        .ended(0)
        .has(&["warning  shared", "cannot be written"]);
    mode(&shared, 0o2775);
    whole(&site);
}

#[test]
fn a_build_script_of_the_host_that_cannot_be_run_is_told() {
    let site = Site::with_one_live();
    let script = site.home.path().join("make-it");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    let line = format!("build = \"{}\"", script.display());
    edit(&site, "build = \"build\"", "build = \"other\"");
    doctor(&site)
        .ended(0)
        .has(&["other is not in the live release", "take that line out"]);
    edit(&site, "build = \"other\"", &line);
    broken(&site, "build script", &["is not executable", "chmod a+x"]);
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    whole(&site);
}

#[test]
fn an_app_that_does_not_answer_well_is_told() {
    let site = Site::with_one_live();
    let status = site.root().join("current/status");
    fs::write(&status, "400").unwrap();
    broken(&site, "app", &["400"]);
    fs::write(&status, "200").unwrap();
    whole(&site);
}

#[test]
fn a_restarter_that_is_not_there_is_told() {
    let site = Site::with_one_live();
    edit(
        &site,
        "[health]",
        "[restart]\nunits = [\"todo.service\"]\n[health]",
    );
    broken(
        &site,
        "restarter",
        &["systemctl status pp-restarter.socket"],
    );
    edit(&site, "[restart]\nunits = [\"todo.service\"]\n", "");
    whole(&site);
}

#[test]
fn what_each_pass_has_to_have_is_looked_at() {
    let site = Site::with_one_live();
    let state = site.home.path().join("state/todo");
    mode(&state, 0o555);
    broken(&site, "state", &["cannot be written"]);
    mode(&state, 0o750);
    site.configure("", "[verify]\nallowed_signers = \"/nowhere/signers\"\n");
    broken(&site, "verify", &["/nowhere/signers"]);
    site.configure("", "");
    whole(&site);
    let current = site.root().join("current");
    let there = fs::read_link(&current).unwrap();
    fs::remove_file(&current).unwrap();
    fs::create_dir(&current).unwrap();
    broken(&site, "app", &["current"]);
    fs::remove_dir(&current).unwrap();
    std::os::unix::fs::symlink(there, &current).unwrap();
    whole(&site);
}

#[test]
fn a_fifo_in_place_of_a_file_holds_nobody_up() {
    let site = Site::with_one_live();
    let script = site.root().join("current/build");
    fs::remove_file(&script).unwrap();
    nix::unistd::mkfifo(&script, nix::sys::stat::Mode::from_bits_truncate(0o666)).unwrap();
    doctor(&site)
        .ended(0)
        .has(&["build is not in the live release"]);
}

#[test]
fn a_clock_that_was_set_back_is_told() {
    let site = Site::with_one_live();
    let path = site.state_path("state.json");
    let text = fs::read_to_string(&path).unwrap();
    let live = site.state().live.unwrap();
    let year = live.deployed_at.strftime("\"%Y-").to_string();
    fs::write(&path, text.replace(&year, "\"2999-")).unwrap();
    broken(&site, "clock", &["the clock was set back", "timedatectl"]);
    fs::write(&path, text).unwrap();
    whole(&site);
}

#[test]
fn what_holds_deploys_back_is_no_fault_and_is_told_with_the_command_that_ends_it() {
    let site = Site::with_one_live();
    site.run(&["pause", "todo", "--reason", "exams"]).ended(0);
    doctor(&site)
        .ended(0)
        .has(&["warning  state", "paused: exams", "pp-fetcher resume todo"]);
    site.run(&["resume", "todo"]).ended(0);
    site.push("two", "200", "exit 3");
    site.poll().ended(1);
    doctor(&site).ended(0).has(&[
        "is held back",
        "ended with exit code 3",
        "all of its output:",
        "pp-fetcher retry todo",
    ]);
}

#[test]
fn a_mistake_in_the_configuration_is_a_usage_error() {
    let site = Site::with_one_live();
    edit(&site, "interval", "intervall");
    doctor(&site).ended(2).has(&["intervall", "interval"]);
    site.run(&["doctor", "other"])
        .ended(2)
        .has(&["no app `other`"]);
}

#[test]
fn the_json_has_the_links_that_the_help_names() {
    let site = Site::with_one_live();
    let said = site.run(&["doctor", "--json"]);
    said.ended(0);
    let document: Value = serde_json::from_str(&said.text).unwrap();
    assert_eq!(document["schema"], 1);
    assert_eq!(document["apps"][0]["app"], "todo");
    let help = site.run(&["doctor", "--help"]).text;
    let links = document["apps"][0]["links"].as_array().unwrap();
    assert!(links.len() > 8, "{}", said.text);
    for link in links {
        let name = link["link"].as_str().unwrap();
        assert!(
            help.lines().any(|line| line.trim().starts_with(name)),
            "{name} in {help}"
        );
        let condition = link["condition"].as_str().unwrap();
        assert!(["ok", "warning", "skipped"].contains(&condition), "{link}");
        assert!(
            link["text"].is_string() && link["remedy"].is_array(),
            "{link}"
        );
    }
}

#[test]
fn a_build_that_makes_a_virtual_environment_where_python_cannot_is_told() {
    let site = Site::new();
    site.push("one", "200", "false && python3 -m venv env || true");
    site.poll().ended(0);
    let bin = site.home.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let with_python = |body: &str| {
        git_support::script(&bin.join("python3"), body);
        let path = format!("{}:/usr/bin:/bin", bin.display());
        let mut doctor = site.home.fetcher(&["doctor", "todo"]);
        Said::from(doctor.env("PATH", path).output().unwrap())
    };
    with_python("exit 1").ended(0).has(&[
        "python3 of this host cannot",
        "apt-get install python3-venv",
    ]);
    let mended = with_python("exit 0");
    assert!(!mended.text.contains("python3-venv"), "{mended:?}");
}

#[test]
fn what_the_old_way_has_left_in_the_root_and_among_the_keys_is_told() {
    let site = Site::with_one_live();
    site.git(&["init", "-q", "root"]);
    fs::write(site.root().join("edited.py"), "x").unwrap();
    doctor(&site).ended(0).has(&[
        "is still a checkout of git, with 1 file that no push has as it is",
        "git -C ",
    ]);
    fs::remove_file(site.root().join("edited.py")).unwrap();
    fs::remove_dir_all(site.root().join(".git")).unwrap();
    let (key, copy) = (
        site.home.path().join("key"),
        site.home.path().join(".ssh/id_todo"),
    );
    fs::create_dir(site.home.path().join(".ssh")).unwrap();
    for path in [&key, &copy] {
        fs::write(path, "-----BEGIN OPENSSH PRIVATE KEY-----\n").unwrap();
    }
    site.configure("", &format!("[ssh]\nidentity = \"{}\"\n", key.display()));
    doctor(&site)
        .ended(0)
        .has(&["id_todo is a copy of the deploy key", "rm "]);
    fs::remove_file(&copy).unwrap();
    let said = doctor(&site);
    assert!(
        !said.text.contains("copy of the deploy key") && !said.text.contains("still a checkout"),
        "{said:?}"
    );
}
