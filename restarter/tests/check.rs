//! `pp-restarter --check`, as an administrator sees it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory that only root can write, all the way up; `None` where the test cannot make one.
fn directory(name: &str) -> Option<PathBuf> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: {name} needs root");
        return None;
    }
    let path = Path::new("/run").join(format!("pp-check-{}-{name}", std::process::id()));
    fs::create_dir_all(&path).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    Some(path)
}

fn check(directory: &Path) -> Output {
    let out = Command::new(env!("CARGO_BIN_EXE_pp-restarter"))
        .arg("--check")
        .arg(directory)
        .output()
        .unwrap();
    let _ = fs::remove_dir_all(directory);
    out
}

fn file(directory: &Path, name: &str, text: &str) {
    fs::write(directory.join(name), text).unwrap();
    fs::set_permissions(directory.join(name), PermissionsExt::from_mode(0o644)).unwrap();
}

#[test]
fn a_good_policy_is_told_in_words() {
    let Some(dir) = directory("good") else { return };
    file(
        &dir,
        "a.toml",
        "[[allow]]\nunits = [\"todo.service\"]\nusers = [\"root\"]\nverbs = [\"restart\", \"reload\"]\n",
    );
    file(&dir, "a.toml.dpkg-old", "");
    let out = check(&dir);
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    let said = String::from_utf8(out.stdout).unwrap();
    assert_eq!(
        said,
        "user root (uid 0) may restart todo.service, 3 times at once and once more every 15 s\n\
         user root (uid 0) may reload todo.service, 3 times at once and once more every 15 s\n\
         restart: also starts the unit where it is stopped, with what it requires, and stops what it conflicts with and \
         restarts what is part of it\n\
         reload: only where the unit runs; runs its ExecReload=\n"
    );
    assert!(
        String::from_utf8(out.stderr)
            .unwrap()
            .contains("a.toml.dpkg-old\" is NOT read")
    );
}

#[test]
fn a_bad_policy_is_refused_with_its_place() {
    let Some(dir) = directory("bad") else { return };
    file(
        &dir,
        "a.toml",
        "[[allow]]\nunits = [\"todo.service\"]\ngroup = [\"root\"]\n",
    );
    let out = check(&dir);
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(
        said.contains("a.toml:3:1: unknown key \"group\": did you mean `groups`?\n"),
        "{said}"
    );
}

#[test]
fn rule_9_a_directory_below_one_that_anybody_can_write_is_refused() {
    let out = check(tempfile::tempdir_in("/tmp").unwrap().path());
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(said.starts_with("/tmp: has mode 1777"), "{said}");
}
