//! Kind E: what git takes is deployed, however odd the history is.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod site;

use std::io::Write;
use std::process::Stdio;

use site::Site;

/// Writes a commit of these bytes after its tree and parent, and has main point at it.
fn raw(site: &Site, headers: &[u8]) -> String {
    let tree = site.git(&["-C", "work", "rev-parse", "HEAD^{tree}"]);
    let parent = site.git(&["-C", "work", "rev-parse", "HEAD"]);
    let mut text = format!("tree {}\nparent {}\n", tree.trim(), parent.trim()).into_bytes();
    text.extend(headers);
    let mut git = site.home.command("git");
    git.args([
        "-C",
        "work",
        "hash-object",
        "-t",
        "commit",
        "-w",
        "--stdin",
        "--literally",
    ]);
    let mut child = git
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&text).unwrap();
    let output = child.wait_with_output().unwrap();
    let id = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    site.git(&["-C", "work", "update-ref", "refs/heads/main", &id]);
    id
}

fn push(site: &Site) {
    site.git(&["-C", "work", "push", "-q", "-f", "../todo.git", "main:main"]);
}

/// What each part of a commit that nobody needs may look like.
fn odd() -> Vec<Vec<u8>> {
    let good = "committer C <c@x> 1700000000 +0000";
    [
        format!("author nobody\n{good}\n\nno address\n"),
        format!("author A <a@x\n{good}\n\nhalf an address\n"),
        format!("author A <a@x> 99999999999999999999 +0000\n{good}\n\na date of twenty digits\n"),
        format!("author A <a@x> -1 +9999\n{good}\n\nbefore all time\n"),
        format!("author A <a@x>\n{good}\n\nno date\n"),
        "author A <a@x> 1 +0000\ncommitter\n\nan empty committer\n".to_owned(),
        "author A <a@x> 1 +0000\n\nno committer\n".to_owned(),
        format!("{good}\n\nno author\n"),
        format!("author A <a@x> 1 +0000\n{good}\nencoding no-such-encoding\n\nodd encoding\n"),
        format!("author A <a@x> 1 +0000\n{good}\nx-unknown y\n z\n\nunknown headers\n"),
        format!("author A <a@x> 1 +0000\n{good}\n"),
    ]
    .into_iter()
    .map(String::into_bytes)
    .chain([
        b"author \xe4\x1b[31m <a@x> 1 +0000\ncommitter \xff <c@x> 1 +0000\n\n\xe4\x07 bell\n"
            .to_vec(),
    ])
    .collect()
}

#[test]
fn a_malformed_commit_at_the_tip_is_deployed_and_shown_cleaned() {
    let site = Site::with_one_live();
    for headers in odd() {
        let id = raw(&site, &headers);
        push(&site);
        let said = site.poll();
        said.ended(0);
        assert!(!said.text.contains(['\u{1b}', '\u{7}']), "{said:?}");
        let live = site.state().live.unwrap().revision;
        assert_eq!(
            live.to_string(),
            id,
            "{}",
            String::from_utf8_lossy(&headers)
        );
    }
    let history = site.run(&["history", "todo"]);
    history.ended(0);
    assert!(!history.text.contains(['\u{1b}', '\u{7}']), "{history:?}");
}

#[test]
fn malformed_commits_anywhere_in_the_range_stop_nothing() {
    let site = Site::with_one_live();
    for headers in odd() {
        raw(&site, &headers);
    }
    site.git(&["-C", "work", "reset", "-q", "--hard", "main"]);
    site.push("after", "200", "");
    site.poll().ended(0);
    assert_eq!(site.served().as_deref(), Some("after"));
    // And when the mirror is made anew, and is opened with them in it.
    std::fs::remove_dir_all(site.state_path("mirror.git")).unwrap();
    site.push("anew", "200", "");
    site.poll().ended(0);
    site.push("again", "200", "");
    site.poll().ended(0);
    assert_eq!(site.served().as_deref(), Some("again"));
}

#[test]
fn a_mirror_with_malformed_commits_is_tidied() {
    let site = Site::with_one_live();
    for headers in odd() {
        raw(&site, &headers);
    }
    site.git(&["-C", "work", "reset", "-q", "--hard", "main"]);
    let packs = || {
        std::fs::read_dir(site.state_path("mirror.git/objects/pack"))
            .unwrap()
            .count()
    };
    // Every fetch leaves a pack; at fifty they become one.
    for n in 0..52 {
        site.push(&format!("v{n}"), "200", "");
        let said = site.poll();
        said.ended(0);
        assert!(!said.text.contains("could not be tidied"), "{said:?}");
    }
    assert!(packs() < 20, "{} files", packs());
}

/// Pushes these, and clones the last of them alone into `shallow.git`.
fn clone_shallow(site: &Site, names: &[&str]) {
    for name in names {
        site.push(name, "200", "");
    }
    let at = site.home.path().display().to_string();
    site.git(&[
        "clone",
        "-q",
        "--bare",
        "--depth",
        "1",
        &format!("file://{at}/todo.git"),
        "shallow.git",
    ]);
}

#[test]
fn a_server_whose_history_is_shallow_is_deployed_from_as_git_clones_it() {
    let site = Site::new();
    clone_shallow(&site, &["a", "b", "c"]);
    let text = std::fs::read_to_string(site.home.path().join("apps.d/todo.toml")).unwrap();
    site.home
        .app("todo", &text.replace("todo.git", "shallow.git"));
    site.poll().ended(0);
    assert_eq!(site.served().as_deref(), Some("c"));
    for name in ["d", "e"] {
        site.push(name, "200", "");
        site.git(&["-C", "work", "push", "-q", "../shallow.git", "HEAD:main"]);
        site.poll().ended(0);
        assert_eq!(site.served().as_deref(), Some(name));
    }
    // The whole history comes later; a rewritten one is still refused.
    site.home.app("todo", &text);
    site.push("f", "200", "");
    site.poll().ended(0);
    assert_eq!(site.served().as_deref(), Some("f"));
    site.git(&["-C", "work", "checkout", "-q", "--orphan", "other"]);
    site.git(&["-C", "work", "commit", "-q", "-m", "other"]);
    site.git(&["-C", "work", "push", "-q", "-f", "../todo.git", "HEAD:main"]);
    site.poll().ended(1).has(&["is on another line"]);
}

#[test]
fn a_shallow_server_over_the_old_protocol_too() {
    let site = Site::new();
    clone_shallow(&site, &["a", "b"]);
    site.git(&["-C", "shallow.git", "config", "protocol.version", "0"]);
    let text = std::fs::read_to_string(site.home.path().join("apps.d/todo.toml")).unwrap();
    site.home
        .app("todo", &text.replace("todo.git", "shallow.git"));
    site.poll().ended(0);
    assert_eq!(site.served().as_deref(), Some("b"));
}
