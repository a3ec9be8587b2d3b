//! Kind F: a release and `shared/` are what was asked for, and what cannot be is told with its mend.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod site;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

use site::Site;
use site::typed::type_whole_line;

fn work(site: &Site, name: &str) -> PathBuf {
    let path = site.home.path().join("work").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    path
}

fn current(site: &Site, name: &str) -> PathBuf {
    site.root().join("current").join(name)
}

/// The app's file with this in `[deploy]` in place of `shared`.
fn shared(site: &Site, list: &str, sections: &str) {
    site.configure("", sections);
    let path = site.home.path().join("apps.d/todo.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace("shared = [\"data\"]", &format!("shared = {list}")),
    )
    .unwrap();
}

#[test]
fn revision_is_written_where_the_tree_has_none_of_any_kind_and_nowhere_else() {
    let site = Site::with_one_live();
    let revision = fs::read_to_string(current(&site, "REVISION")).unwrap();
    assert_eq!(
        revision.trim(),
        site.state().live.unwrap().revision.to_string()
    );
    fs::write(work(&site, "REVISION"), "ours, not yours\n").unwrap();
    site.push("file", "200", "");
    site.poll().ended(0);
    assert_eq!(
        fs::read_to_string(current(&site, "REVISION")).unwrap(),
        "ours, not yours\n"
    );
    fs::remove_file(work(&site, "REVISION")).unwrap();
    fs::write(work(&site, "REVISION/inside"), "x").unwrap();
    site.push("directory", "200", "");
    site.poll().ended(0);
    assert!(current(&site, "REVISION/inside").is_file());
    fs::remove_dir_all(work(&site, "REVISION")).unwrap();
    symlink("name", work(&site, "REVISION")).unwrap();
    site.push("link", "200", "");
    site.poll().ended(0);
    assert_eq!(
        fs::read_to_string(current(&site, "name")).unwrap(),
        "link",
        "nothing was written through it"
    );
    // What was live before is known all the same.
    assert_eq!(
        site.attempts().pop().unwrap().attempt.previous.unwrap(),
        site.state().earlier[0].revision
    );
}

#[test]
fn a_leading_dot_is_a_dot_and_a_file_that_is_nowhere_is_told_with_the_line_that_makes_it() {
    let site = Site::new();
    shared(&site, "[\".env\", \"media\", \".cache/\"]", "");
    site.push("one", "200", "");
    site.run(&["poll", "todo", "--dry-run"]).ended(0).has(&[
        "shared: .env, a file; it is nowhere yet",
        "shared: media/, a directory; it is made",
        "shared: .cache/, a directory; it is made",
    ]);
    let said = site.poll();
    let env = site.root().join("shared/.env");
    let advice = format!("/dev/null {}", env.display());
    said.ended(0)
        .has(&["the shared file", "is not there yet", &advice]);
    assert!(
        site.root().join("shared/media").is_dir() && site.root().join("shared/.cache").is_dir()
    );
    assert!(env.symlink_metadata().is_err());
    // The line, typed as it stands there.
    type_whole_line(&said.text, "as root: ");
    fs::write(&env, "SECRET=1\n").unwrap();
    assert_eq!(
        fs::read_to_string(current(&site, ".env")).unwrap(),
        "SECRET=1\n"
    );
    site.push("two", "200", "");
    let next = site.poll();
    next.ended(0);
    assert!(!next.text.contains("is not there yet"), "{next:?}");
    assert_eq!(
        fs::read_to_string(current(&site, ".env")).unwrap(),
        "SECRET=1\n"
    );
}

#[test]
fn a_link_of_the_repository_never_moves_into_shared() {
    let site = Site::new();
    fs::write(work(&site, "s/m/seed"), "seed").unwrap();
    symlink("s/m", work(&site, "media")).unwrap();
    shared(&site, "[\"media/\"]", "");
    site.push("one", "200", "");
    let said = site.poll();
    said.ended(1).has(&[
        "media is a symbolic link in the repository",
        "take the link out",
    ]);
    assert!(site.root().join("shared/media").symlink_metadata().is_err());
    fs::remove_file(work(&site, "media")).unwrap();
    site.push("two", "200", "");
    site.poll().ended(0);
    assert!(site.root().join("shared/media").is_dir(), "as advised");
}

#[test]
fn a_link_on_the_way_to_a_shared_path_is_refused_as_well() {
    let site = Site::new();
    fs::create_dir_all(work(&site, "real")).unwrap();
    fs::write(work(&site, "real/x"), "x").unwrap();
    symlink("real", work(&site, "var")).unwrap();
    shared(&site, "[\"var/cache/\"]", "");
    site.push("one", "200", "");
    site.poll()
        .ended(1)
        .has(&["var is a symbolic link in the repository"]);
    shared(&site, "[]", "");
    site.poll().ended(0);
    assert_eq!(
        site.served().as_deref(),
        Some("one"),
        "the path is out of `shared`, as advised"
    );
}

#[test]
fn a_filter_that_attributes_ask_for_is_refused_and_both_mends_end_well() {
    let site = Site::with_one_live();
    fs::write(
        work(&site, ".gitattributes"),
        "*.secret filter=git-crypt diff=git-crypt\n",
    )
    .unwrap();
    site.push("asks", "200", "");
    site.poll().ended(0);
    fs::write(work(&site, "keys/a.secret"), "\0GITCRYPT\0").unwrap();
    site.push("has", "200", "");
    site.poll().ended(1).has(&[
        "keys/a.secret",
        "the filter \"git-crypt\"",
        "leave_out = [\"keys/a.secret\"]",
        "unfiltered = [\"keys/a.secret\"]",
    ]);
    assert_eq!(site.served().as_deref(), Some("asks"));
    site.configure("", "[tree]\nleave_out = [\"keys/a.secret\"]\n");
    site.poll().ended(0);
    assert!(!current(&site, "keys/a.secret").exists());
    site.configure("", "[tree]\nunfiltered = [\"keys/a.secret\"]\n");
    site.push("again", "200", "");
    site.poll().ended(0);
    assert!(current(&site, "keys/a.secret").exists());
}

#[test]
fn a_macro_of_the_top_is_seen_in_a_file_below() {
    let site = Site::with_one_live();
    fs::write(
        work(&site, ".gitattributes"),
        "[attr]crypted filter=git-crypt\n",
    )
    .unwrap();
    fs::write(work(&site, "keys/.gitattributes"), "* crypted\n").unwrap();
    fs::write(work(&site, "keys/a.secret"), "\0GITCRYPT\0").unwrap();
    site.push("below", "200", "");
    site.poll().ended(1).has(&["the filter \"git-crypt\""]);
}

#[test]
fn attributes_without_end_are_refused_and_patterns_end_well() {
    let site = Site::with_one_live();
    let file = work(&site, ".gitattributes");
    let line = |n: u32| format!("images/a-file-with-a-long-name-{n:06}.png binary\n");
    fs::write(&file, (0..30_000).map(line).collect::<String>()).unwrap();
    site.push("long", "200", "");
    site.poll().ended(1).has(&[
        ".gitattributes files have more than 1024 KiB",
        "patterns in place of single paths make them smaller",
    ]);
    fs::write(&file, "images/*.png binary\n").unwrap();
    site.push("short", "200", "");
    site.poll().ended(0);
}

#[test]
fn eol_and_ident_are_not_applied() {
    let site = Site::new();
    fs::write(work(&site, ".gitattributes"), "*.txt eol=crlf\n*.c ident\n").unwrap();
    fs::write(work(&site, "a.txt"), "one\ntwo\n").unwrap();
    fs::write(work(&site, "a.c"), "$Id$\n").unwrap();
    site.push("one", "200", "");
    site.poll().ended(0);
    assert_eq!(fs::read(current(&site, "a.txt")).unwrap(), b"one\ntwo\n");
    assert_eq!(fs::read(current(&site, "a.c")).unwrap(), b"$Id$\n");
}

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\n\
     oid sha256:0000000000000000000000000000000000000000000000000000000000000000\nsize 12\n";

#[test]
fn exceptions_make_deployable_what_the_administrator_says_and_nothing_more() {
    let site = Site::with_one_live();
    symlink("/etc/hostname", work(&site, "tests/fixture")).unwrap();
    site.push("fixture", "200", "");
    site.poll()
        .ended(1)
        .has(&["tests/fixture", "outside_links", "leave_out"]);
    site.configure("", "[tree]\noutside_links = [\"tests/*\"]\n");
    site.poll().ended(0);
    assert_eq!(
        fs::read_link(current(&site, "tests/fixture")).unwrap(),
        PathBuf::from("/etc/hostname")
    );
    // Others are refused as ever.
    symlink("/etc/passwd", work(&site, "passwd")).unwrap();
    site.push("passwd", "200", "");
    site.poll().ended(1).has(&["because of passwd"]);
    site.configure(
        "",
        "[tree]\noutside_links = [\"tests/*\"]\nleave_out = [\"passwd\"]\n",
    );
    site.poll().ended(0);
    assert!(current(&site, "passwd").symlink_metadata().is_err());

    fs::write(work(&site, "docs/shot.png"), POINTER).unwrap();
    site.push("pointer", "200", "");
    site.poll()
        .ended(1)
        .has(&["docs/shot.png", "Git LFS pointer", "lfs_pointers"]);
    let rules = "[tree]\noutside_links = [\"tests/*\"]\nleave_out = [\"passwd\"]\n";
    site.configure("", &format!("{rules}lfs_pointers = [\"docs/*\"]\n"));
    site.poll().ended(0);
    assert_eq!(
        fs::read_to_string(current(&site, "docs/shot.png")).unwrap(),
        POINTER
    );
}

#[test]
fn a_submodule_that_the_app_does_without_stays_empty() {
    let site = Site::with_one_live();
    let commit = site.git(&["-C", "work", "rev-parse", "HEAD"]);
    let link = format!("160000,{},tests/data", commit.trim());
    site.git(&["-C", "work", "update-index", "--add", "--cacheinfo", &link]);
    fs::create_dir_all(work(&site, "tests/data")).unwrap();
    site.push("module", "200", "");
    site.poll().ended(1).has(&["tests/data", "empty = true"]);
    site.configure("", "[[submodule]]\npath = \"tests/data\"\nempty = true\n");
    site.poll().ended(0);
    assert_eq!(
        fs::read_dir(current(&site, "tests/data")).unwrap().count(),
        0
    );
}

#[test]
fn what_is_left_out_counts_for_no_limit_and_a_hostile_name_is_refused_all_the_same() {
    let site = Site::with_one_live();
    site.configure("", "[tree]\nleave_out = [\"*\"]\n");
    let blob = site.git(&["-C", "work", "hash-object", "-w", "name"]);
    let tree = format!("100644 blob {}\t.git\n", blob.trim());
    let mut mktree = site.home.command("git");
    mktree
        .args(["-C", "work", "mktree"])
        .stdin(std::process::Stdio::piped());
    let mut child = mktree.stdout(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), tree.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if !output.status.success() {
        // This git does not make one: then there is nothing to refuse.
        return;
    }
    let tree = String::from_utf8(output.stdout).unwrap();
    let commit = site.git(&[
        "-C",
        "work",
        "commit-tree",
        "-p",
        "HEAD",
        "-m",
        "x",
        tree.trim(),
    ]);
    site.git(&[
        "-C",
        "work",
        "push",
        "-q",
        "../todo.git",
        &format!("{}:refs/heads/main", commit.trim()),
    ]);
    site.poll().ended(1).has(&[".git"]);
}

/// What root's python leaves behind in a release.
#[test]
fn a_release_that_cannot_be_removed_is_told_by_status_and_the_command_mends_it() {
    let site = Site::with_one_live();
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: a file of another user needs root");
        return;
    }
    // As root would be: the program runs as nobody, this test as root.
    let cache = current(&site, "__pycache__");
    fs::create_dir(&cache).unwrap();
    fs::write(cache.join("x.pyc"), "x").unwrap();
    assert_eq!(fs::metadata(&cache).unwrap().uid(), 0);
    for name in ["two", "three", "four"] {
        site.push(name, "200", "");
        site.poll().ended(0);
    }
    let said = site.run(&["status"]);
    said.has(&[
        "1 old releases could not be removed",
        "__pycache__ belongs to root",
        "rm -rf ",
    ]);
    let json = site.run(&["status", "--json"]);
    json.has(&["\"leftovers\": [\n"]);
    type_whole_line(&said.text, "as root: ");
    let after = site.run(&["status"]);
    assert!(!after.text.contains("could not be removed"), "{after:?}");
    assert_eq!(
        fs::read_dir(site.root().join("releases")).unwrap().count(),
        2
    );
}
