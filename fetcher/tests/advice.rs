//! Advice that no other suite follows: each test does what a message says, and it ends well.
//! `ADVICE.md` lists every message with advice and the test that follows it. Those without the program are in
//! `inside/advice.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

mod site;

use std::fs;

use site::Site;

#[test]
fn digits_that_name_no_revision_are_accepted_when_all_forty_are_written() {
    let site = Site::with_one_live();
    site.git(&["-C", "work", "checkout", "-q", "-f", "-B", "main", "HEAD~1"]);
    site.git(&["-C", "work", "commit", "-q", "--allow-empty", "-m", "aside"]);
    site.git(&["-C", "work", "push", "-q", "-f", "../todo.git", "HEAD:main"]);
    let revision = site.git(&["-C", "work", "rev-parse", "HEAD"]);
    let revision = revision.trim();
    let few = &revision[..6];
    site.run(&["accept-rewrite", "todo", few])
        .ended(2)
        .has(&["write all 40 digits of it"]);
    site.run(&["accept-rewrite", "todo", revision]).ended(0);
    site.poll().ended(0);
}

#[test]
fn a_state_that_cannot_be_read_is_put_back_or_moved_away() {
    let site = Site::with_one_live();
    let path = site.state_path("state.json");
    let copy = fs::read(&path).unwrap();
    fs::write(&path, "{").unwrap();
    site.push("two", "200", "");
    let said = site.poll();
    said.ended(1).has(&["Put back a copy, or move it away"]);
    site.run(&["status"]).ended(1).has(&["unreadable"]);
    fs::write(&path, copy).unwrap();
    site.poll().ended(0);
    assert_eq!(site.served().as_deref(), Some("two"));
    fs::write(&path, "{\"schema\": 9}").unwrap();
    site.push("three", "200", "");
    site.poll()
        .ended(1)
        .has(&["install that version again, or move the file away"]);
    fs::remove_file(&path).unwrap();
    site.poll().ended(0);
    assert_eq!(site.served().as_deref(), Some("three"));
}

#[test]
fn an_attempt_without_output_is_found_by_its_number_in_the_history() {
    let site = Site::with_one_live();
    site.run(&["logs", "todo", "99"])
        .ended(1)
        .has(&["`pp-fetcher history todo` shows the attempts"]);
    site.run(&["history", "todo"]).ended(0).has(&["#1 ", "#2 "]);
    site.run(&["logs", "todo", "2"]).ended(0);
}

#[test]
fn a_limit_of_the_fetch_that_is_too_low_is_told_with_the_key_and_a_higher_one_deploys() {
    let site = Site::with_one_live();
    let noise = site.home.path().join("work/noise");
    // What does not compress: a chain of hashes.
    let mut bytes = Vec::new();
    let mut word = 1_u64;
    while bytes.len() < 3 << 20 {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        bytes.extend(word.to_be_bytes().iter().skip(1).take(4));
    }
    fs::write(noise, bytes).unwrap();
    site.push("large", "200", "");
    site.configure("", "[fetch]\nlimit = \"1MiB\"\n");
    site.poll().ended(1).has(&[
        "more than the 1048576 bytes allowed",
        "`limit` under [fetch]",
    ]);
    site.configure("", "[fetch]\nlimit = \"64MiB\"\n");
    site.poll().ended(0);
    assert_eq!(site.served().as_deref(), Some("large"));
}

#[test]
fn a_tree_that_is_larger_than_allowed_deploys_without_what_is_left_out() {
    let site = Site::with_one_live();
    let many = site.home.path().join("work/many");
    fs::create_dir(&many).unwrap();
    let blob = site.git(&["-C", "work", "hash-object", "-w", "name"]);
    // Two trees of 500 names in one of 401 directories: 200,500 entries from three objects.
    let mktree = |lines: String| {
        let mut git = site.home.command("git");
        git.args(["-C", "work", "mktree"])
            .stdin(std::process::Stdio::piped());
        let mut child = git.stdout(std::process::Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), lines.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let names = (0..500).map(|n| format!("100644 blob {}\tf{n:03}\n", blob.trim()));
    let inner = mktree(names.collect());
    let directories = (0..401).map(|n| format!("040000 tree {inner}\td{n:03}\n"));
    let outer = mktree(directories.collect());
    site.git(&["-C", "work", "read-tree", "--prefix=many/", &outer]);
    site.git(&["-C", "work", "commit", "-q", "-m", "many"]);
    site.git(&["-C", "work", "push", "-q", "../todo.git", "HEAD:main"]);
    site.poll().ended(1).has(&[
        "more than 200000 files and directories",
        "leave_out under [tree]",
    ]);
    site.configure("", "[tree]\nleave_out = [\"many\"]\n");
    site.poll().ended(0);
    assert!(!site.root().join("current/many").exists());
}
