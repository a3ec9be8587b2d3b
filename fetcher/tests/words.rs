//! Kind I: a message names what is wrong and nothing else, and what it says to do ends well.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

mod git_support;
mod site;

use std::fs;
use std::path::Path;
use std::process::Command;

use pp_fetcher::{Outcome, State, Step};
use site::Site;
use site::typed::{mode, type_line};

/// A server program in place of git, reached as a local repository is.
#[test]
fn what_a_server_says_that_is_no_git_is_shown() {
    let site = Site::with_one_live();
    let bin = site.home.path().join("bin");
    fs::create_dir(&bin).unwrap();
    git_support::script(
        &bin.join("git"),
        "echo 'Welcome to forge.example.org! No shell for you.'",
    );
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let output = site
        .home
        .fetcher(&["poll", "todo"])
        .env("PATH", path)
        .output()
        .unwrap();
    let said = site::Said::from(output);
    said.ended(1).has(&[
        "the answer is not the git protocol",
        "Welcome to forge.example.org! No shell",
    ]);
}

#[test]
fn a_build_script_with_line_ends_of_dos_is_told_as_that_and_the_mend_ends_well() {
    let site = Site::with_one_live();
    let work = site.home.path().join("work");
    let push = || {
        site.home.push(&[], "script");
    };
    fs::write(work.join("build"), "#!/bin/sh\r\necho two >built\r\n").unwrap();
    push();
    let said = site.poll();
    said.ended(1)
        .has(&["its lines end in CR LF", "sed -i 's/\\r$//' build"]);
    let line = said
        .text
        .split("in the repository: ")
        .nth(1)
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    let mut sh = Command::new("sh");
    assert!(
        sh.args(["-c", line])
            .current_dir(&work)
            .status()
            .unwrap()
            .success()
    );
    push();
    site.poll().ended(0);
}

#[test]
fn a_build_script_that_is_not_executable_or_not_there_is_told_and_the_mend_ends_well() {
    let site = Site::with_one_live();
    site.git(&["-C", "work", "update-index", "--chmod=-x", "build"]);
    site.git(&["-C", "work", "commit", "-q", "-m", "no x"]);
    site.git(&["-C", "work", "push", "-q", "../todo.git", "HEAD:main"]);
    site.poll()
        .ended(1)
        .has(&["git update-index --chmod=+x build"]);
    site.git(&["-C", "work", "update-index", "--chmod=+x", "build"]);
    site.git(&["-C", "work", "commit", "-q", "-m", "x"]);
    site.git(&["-C", "work", "push", "-q", "../todo.git", "HEAD:main"]);
    site.poll().ended(0);
    site.git(&["-C", "work", "rm", "-q", "-f", "build"]);
    site.git(&["-C", "work", "commit", "-q", "-m", "gone"]);
    site.git(&["-C", "work", "push", "-q", "../todo.git", "HEAD:main"]);
    site.poll()
        .ended(1)
        .has(&["is not in the release", "commit it, or take that line out"]);
    let path = site.home.path().join("apps.d/todo.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("build = \"build\"\n", "")).unwrap();
    site.poll().ended(0);
}

#[test]
fn an_absolute_build_script_that_is_missing_is_found_before_the_fetch_and_not_called_the_releases()
{
    let site = Site::with_one_live();
    let script = site.home.path().join("make-it");
    let path = site.home.path().join("apps.d/todo.toml");
    let text = fs::read_to_string(&path).unwrap();
    let line = format!("build = \"{}\"", script.display());
    fs::write(&path, text.replace("build = \"build\"", &line)).unwrap();
    site.push("two", "200", "");
    let said = site.poll();
    said.ended(1)
        .has(&["look: the build script", "cannot be found on this host"]);
    assert!(!said.text.contains("commit it"), "{said:?}");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    mode(&script, 0o644);
    let said = site.poll();
    said.ended(1).has(&["is not executable", "chmod a+x"]);
    type_line(&said.text, "as its owner: ");
    site.poll().ended(0);
    assert_eq!(site.served().as_deref(), Some("two"));
}

#[test]
fn a_root_that_cannot_be_written_is_found_first_with_path_and_mode_and_the_line_mends_it() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: a directory of another user needs root");
        return;
    }
    let site = Site::with_one_live();
    let own = |path: &Path, uid: u32, bits: u32| {
        std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
        mode(path, bits);
    };
    own(&site.root(), 0, 0o755);
    site.push("two", "200", "");
    let releases = fs::read_dir(site.root().join("releases")).unwrap().count();
    let said = site.poll();
    said.ended(1).has(&[
        "look: ",
        "belongs to root:root, mode 0755",
        "chown nobody:nogroup",
    ]);
    assert_eq!(
        fs::read_dir(site.root().join("releases")).unwrap().count(),
        releases
    );
    type_line(&said.text, "as root: ");
    site.poll().ended(0);
    assert_eq!(site.served().as_deref(), Some("two"));
}

#[test]
fn a_root_that_is_not_there_and_cannot_be_made_is_told_with_the_line_that_makes_it() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: a directory of another user needs root");
        return;
    }
    let site = Site::new();
    let parent = site.home.path().join("locked");
    fs::create_dir(&parent).unwrap();
    let path = site.home.path().join("apps.d/todo.toml");
    let text = fs::read_to_string(&path).unwrap();
    let at = site.home.path().display().to_string();
    fs::write(
        &path,
        text.replace(
            &format!("root = \"{at}/root\""),
            &format!("root = \"{at}/locked/todo\""),
        ),
    )
    .unwrap();
    // What answers at the health URL does not know of that root.
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.split("[health]").next().unwrap()).unwrap();
    site.push("one", "200", "");
    let said = site.poll();
    said.ended(1).has(&[
        "is not there and cannot be made",
        "install -d -m 2775 -o nobody -g nogroup",
    ]);
    type_line(&said.text, "as root: ");
    site.poll().ended(0);
}

#[test]
fn a_root_of_another_group_or_without_setgid_is_told_and_each_line_mends_it() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: a directory of another group needs root");
        return;
    }
    let site = Site::with_one_live();
    std::os::unix::fs::chown(site.root(), None, Some(0)).unwrap();
    mode(&site.root(), 0o777);
    site.push("two", "200", "");
    let said = site.poll();
    said.ended(0).has(&[
        "belongs to the group root, and pp-fetcher runs with nogroup",
        "has no setgid bit (mode 0777)",
    ]);
    type_line(&said.text, "as root: ");
    type_line(&said.text, "as its owner: ");
    site.push("three", "200", "");
    let said = site.poll();
    said.ended(0);
    assert!(
        !said.text.contains("setgid") && !said.text.contains("the group"),
        "{said:?}"
    );
}

#[test]
fn another_users_poll_is_refused_before_anything_is_recorded() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: the directory of another user needs root");
        return;
    }
    let site = Site::with_one_live();
    let state = site.home.path().join("state");
    let before = fs::read(site.state_path("state.json")).unwrap();
    // The apps are somebody else's than who asks.
    std::os::unix::fs::chown(&state, Some(1), Some(1)).unwrap();
    for command in [["poll", "todo"], ["rollback", "todo"]] {
        let said = site.run(&command);
        said.ended(2).has(&[
            "only as the user of the apps, daemon",
            "as root: pp-fetcher",
            "sudo -u daemon pp-fetcher",
            "nothing was done",
        ]);
    }
    assert_eq!(fs::read(site.state_path("state.json")).unwrap(), before);
    std::os::unix::fs::chown(&state, Some(65534), Some(65534)).unwrap();
    site.poll().ended(0);
}

#[test]
fn status_during_a_deploy_says_what_is_being_deployed_and_in_which_step() {
    let site = Site::with_one_live();
    let go = site.home.path().join("go");
    site.push(
        "two",
        "200",
        &format!("while [ ! -e {} ]; do sleep 0.02; done", go.display()),
    );
    let mut poll = site.home.fetcher(&["poll", "todo"]).spawn().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let said = site.run(&["status"]);
        if said.text.contains("build, begun") {
            said.has(&["deploying", "\u{201c}two\u{201d}", " ago"]);
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{said:?}");
    }
    site.run(&["status", "--json"])
        .has(&["\"under_way\": {", "\"phase\": \"build\""]);
    fs::write(&go, "").unwrap();
    assert!(poll.wait().unwrap().success());
    let said = site.run(&["status"]);
    assert!(!said.text.contains("deploying"), "{said:?}");
}

#[test]
fn the_exit_codes_of_status_and_of_a_dry_run_tell_what_is_wrong() {
    let site = Site::with_one_live();
    site.run(&["status"]).ended(0);
    site.run(&["poll", "--dry-run"]).ended(0);
    site.push("sick", "500", "");
    site.poll().ended(1);
    site.run(&["status"]).ended(0).has(&["quarantined"]);
    let path = site.home.path().join("apps.d/todo.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace("build = \"build\"", "build = \"/nowhere/build\""),
    )
    .unwrap();
    site.push("two", "200", "");
    site.run(&["poll", "--dry-run"])
        .ended(1)
        .has(&["and fail: look: "]);
    site.poll().ended(1);
    site.run(&["status"])
        .ended(1)
        .has(&["failing", "pp-fetcher poll todo"]);
    fs::write(&path, text).unwrap();
    site.run(&["poll", "todo"]).ended(0);
    site.run(&["status"]).ended(0);
}

#[test]
fn status_of_a_stuck_app_names_what_leads_out_whatever_was_refused_since() {
    let site = Site::with_one_live();
    let mut stuck = site.attempts().pop().unwrap();
    stuck.attempt.number += 1;
    stuck.outcome = Outcome::Stuck;
    stuck.reason = Some("and the way back did not end well\n  pp-fetcher rollback todo".into());
    let mut refused = stuck.clone();
    refused.attempt.number += 1;
    refused.outcome = Outcome::Refused;
    refused.reason = Some("verify: the commit is not signed".into());
    let mut attempt = stuck.attempt.clone();
    attempt.step = Some(Step::BackSwitch);
    attempt.previous_release = Some(attempt.release.clone());
    attempt.going_back = Some("not well".into());
    let state = State {
        stuck: Some(attempt),
        ..site.state()
    };
    let dir = site.state_dir();
    dir.history().append(&stuck).unwrap();
    dir.history().append(&refused).unwrap();
    dir.save(&state).unwrap();
    let said = site.run(&["status"]);
    said.ended(1).has(&["stuck", "pp-fetcher rollback todo"]);
    assert!(!said.text.contains("todo: verify"), "{said:?}");
}
