//! Kind D: of tags, the highest version is deployed, whatever line it is on; none is passed over in
//! silence, and a refusal says what is true of this case.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod site;

use site::Site;

/// Follows tags; nothing else is looked at.
fn site(pattern: &str) -> Site {
    let site = Site::new();
    follow(&site, pattern);
    site
}

fn follow(site: &Site, pattern: &str) {
    let at = site.home.path().display();
    site.home.app(
        "todo",
        &format!(
            "repository = \"file://{at}/todo.git\"\ntag = \"{pattern}\"\n[deploy]\nroot = \"{at}/root\"\nkeep = 2\n"
        ),
    );
}

fn tag(site: &Site, tag: &str) -> String {
    let revision = site.push(tag, "200", "");
    site.git(&["-C", "work", "tag", "-f", tag]);
    site.git(&["-C", "work", "push", "-q", "-f", "--tags", "../todo.git"]);
    revision
}

fn branch(site: &Site, name: &str, from: &str) {
    site.git(&["-C", "work", "checkout", "-q", "-B", name, from]);
}

/// Commits and tags without a push to main.
fn tag_here(site: &Site, name: &str) -> String {
    std::fs::write(site.home.path().join("work/name"), name).unwrap();
    site.git(&["-C", "work", "commit", "-qam", name]);
    site.git(&["-C", "work", "tag", "-f", name]);
    site.git(&["-C", "work", "push", "-q", "-f", "--tags", "../todo.git"]);
    site.git(&["-C", "work", "rev-parse", "HEAD"])
        .trim()
        .to_owned()
}

#[test]
fn versions_of_four_parts_after_releases_and_before_them_are_ordered() {
    let site = site("v*");
    for next in [
        "v4.2.11",
        "v4.2.11.3",
        "v4.2.12",
        "v4.2.12.1",
        "v4.2.12.1.post1",
        "v4.10",
    ] {
        tag(&site, next);
        site.poll().ended(0);
        assert_eq!(site.served().as_deref(), Some(next));
    }
    tag(&site, "v5.0rc1");
    site.poll().ended(0).has(&["nothing new"]);
    assert_eq!(
        site.served().as_deref(),
        Some("v4.10"),
        "what comes before a release is not asked for"
    );
    follow(&site, "v*rc*");
    site.poll().ended(0);
    assert_eq!(site.served().as_deref(), Some("v5.0rc1"));
}

#[test]
fn a_higher_version_on_a_release_branch_need_not_descend_from_the_live_one() {
    let site = site("*");
    tag(&site, "2026.01.05");
    branch(&site, "release/2026.02", "HEAD");
    tag_here(&site, "2026.02.01");
    site.poll().ended(0);
    branch(&site, "main", "2026.01.05");
    tag_here(&site, "2026.03.01");
    site.poll().ended(0).has(&["good"]);
    assert_eq!(site.served().as_deref(), Some("2026.03.01"));
    // A mend of an older line is no newer version.
    branch(&site, "release/2026.02", "2026.02.01");
    tag_here(&site, "2026.02.02");
    site.poll().ended(0).has(&["nothing new"]);
}

#[test]
fn a_tag_that_moved_is_refused_with_both_ends_and_the_advice_ends_well() {
    let site = site("v*");
    let before = tag(&site, "v1.0");
    site.poll().ended(0);
    site.push("between", "200", "");
    let after = tag(&site, "v1.0");
    let said = site.poll();
    let moved = format!(
        "the tag v1.0 was moved from {} to {}",
        &before[..12],
        &after[..12]
    );
    said.ended(1)
        .has(&[&moved, "pp-fetcher accept-rewrite todo"]);
    site.run(&["accept-rewrite", "todo", &after]).ended(0);
    site.poll().ended(0).has(&["which was accepted by hand"]);
    assert_eq!(site.state().live.unwrap().revision.to_string(), after);
    site.poll().ended(0).has(&["nothing new"]);
}

#[test]
fn a_tag_that_was_tried_and_failed_may_not_move_either() {
    let site = site("v*");
    tag(&site, "v1.0");
    site.poll().ended(0);
    let at = site.home.path().display().to_string();
    let text = std::fs::read_to_string(site.home.path().join("apps.d/todo.toml")).unwrap();
    site.home.app("todo", &format!("{text}build = \"build\"\n"));
    site.push("bad", "200", "exit 3");
    site.git(&["-C", "work", "tag", "v1.1"]);
    site.git(&["-C", "work", "push", "-q", "--tags", "../todo.git"]);
    site.poll().ended(1).has(&["exit code 3"]);
    let moved = tag(&site, "v1.1");
    site.poll().ended(1).has(&["the tag v1.1 was moved from"]);
    site.run(&["accept-rewrite", "todo", &moved]).ended(0);
    site.poll().ended(0);
    assert_eq!(site.served().as_deref(), Some("v1.1"), "{at}");
}

#[test]
fn a_version_that_is_older_since_the_live_tag_is_gone_is_told_as_that() {
    let site = site("v*");
    let old = tag(&site, "v1.0");
    tag(&site, "v2.0");
    site.poll().ended(0);
    site.git(&["-C", "work", "push", "-q", "../todo.git", ":refs/tags/v2.0"]);
    site.poll()
        .ended(1)
        .has(&["v1.0 (", ") is older than the live version v2.0 ("]);
    site.run(&["accept-rewrite", "todo", &old]).ended(0);
    site.poll().ended(0);
    assert_eq!(site.served().as_deref(), Some("v1.0"));
}

#[test]
fn a_branch_that_goes_back_or_aside_is_told_as_what_it_is() {
    let site = Site::with_one_live();
    let live = site.git(&["-C", "work", "rev-parse", "HEAD"]);
    site.git(&[
        "-C",
        "work",
        "push",
        "-q",
        "-f",
        "../todo.git",
        "HEAD~1:refs/heads/main",
    ]);
    site.poll()
        .ended(1)
        .has(&["is older than the live revision"]);
    site.git(&["-C", "work", "checkout", "-q", "-f", "-B", "main", "HEAD~1"]);
    site.git(&["-C", "work", "commit", "-q", "--allow-empty", "-m", "aside"]);
    site.git(&["-C", "work", "push", "-q", "-f", "../todo.git", "HEAD:main"]);
    site.poll()
        .ended(1)
        .has(&["is on another line than the live revision"]);
    site.git(&["-C", "work", "reset", "-q", "--hard", live.trim()]);
    site.git(&["-C", "work", "push", "-q", "-f", "../todo.git", "HEAD:main"]);
    site.push("on", "200", "");
    site.git(&["-C", "work", "push", "-q", "-f", "../todo.git", "HEAD:main"]);
    site.poll().ended(0);
    assert_eq!(
        site.served().as_deref(),
        Some("on"),
        "what goes on from the live one, as advised"
    );
}

#[test]
fn a_tag_that_is_no_version_is_named_once_and_not_at_each_poll() {
    let site = site("*");
    tag(&site, "v1.0");
    tag(&site, "latest");
    let said = site.poll();
    said.ended(0)
        .has(&["passed over, as no version can be read in it: latest"]);
    assert_eq!(site.served().as_deref(), Some("v1.0"));
    let again = site.poll();
    assert!(!again.text.contains("passed over"), "{again:?}");
    tag(&site, "nightly-x");
    let new = site.poll();
    new.has(&["passed over, as no version can be read in it: nightly-x"]);
    assert!(!new.text.contains("latest"), "{new:?}");
}

#[test]
fn a_tag_on_a_file_or_a_directory_is_passed_over_with_a_word_and_never_fetched_again() {
    let site = site("v*");
    tag(&site, "v1.0");
    site.git(&["-C", "work", "tag", "v9.0", "HEAD:name"]);
    site.git(&["-C", "work", "tag", "-a", "-m", "x", "v8.0", "HEAD^{tree}"]);
    // Larger than anything that the worker hands over in one piece.
    site.git(&["-C", "work", "config", "core.bigFileThreshold", "1m"]);
    let path = site.home.path().join("work/large");
    std::fs::write(&path, vec![b'x'; 17 << 20]).unwrap();
    let large = site.git(&["-C", "work", "hash-object", "-w", "large"]);
    std::fs::remove_file(&path).unwrap();
    site.git(&["-C", "work", "tag", "v9.1", large.trim()]);
    site.git(&["-C", "work", "push", "-q", "--tags", "../todo.git"]);
    site.poll().ended(0).has(&[
        "the tag v9.1 is passed over: it stands for a file, not for a commit",
        "the tag v9.0 is passed over: it stands for a file, not for a commit",
        "the tag v8.0 is passed over: it stands for a directory, not for a commit",
        "good",
    ]);
    assert_eq!(site.served().as_deref(), Some("v1.0"));
    let again = site.poll();
    again.ended(0).has(&["nothing new"]);
    assert!(!again.text.contains("passed over"), "{again:?}");
    tag(&site, "v9.0");
    site.poll().ended(0);
    assert_eq!(
        site.served().as_deref(),
        Some("v9.0"),
        "it stands for a commit now"
    );
}

#[test]
fn where_no_tag_is_a_version_the_advice_ends_well() {
    let site = site("v*");
    tag(&site, "vanilla");
    site.poll()
        .ended(1)
        .has(&["is a release version", "push such a tag"]);
    tag(&site, "v1");
    site.poll().ended(0);
    assert_eq!(site.served().as_deref(), Some("v1"));
}
