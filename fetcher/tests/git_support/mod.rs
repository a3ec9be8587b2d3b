//! Real repositories made by git itself, and fake ssh programs that misbehave.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

pub mod agent;
pub mod built;
pub mod https;
mod repository;
pub mod sshd;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

#[allow(unused_imports, reason = "not every suite starts a worker")]
pub use built::built_worker;
use pp_objects::ObjectId;
use repository::run_git;
pub use repository::write_files;
use tempfile::TempDir;

/// A repository to fetch from, in a directory of its own.
pub struct Forge {
    pub dir: TempDir,
}

impl Forge {
    /// An empty repository with a branch `main` to be.
    pub fn empty() -> Self {
        let forge = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        forge.git(&["init", "-q", "-b", "main", "repo"]);
        forge
    }

    /// A repository with one commit on `main`.
    pub fn new() -> Self {
        let forge = Self::empty();
        forge.commit("app.py", "print('v1')\n", "first");
        forge
    }

    pub fn repo(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    pub fn mirror_path(&self) -> PathBuf {
        self.dir.path().join("mirror.git")
    }

    /// Runs git in the repository and gives its output.
    pub fn git(&self, args: &[&str]) -> String {
        self.git_with(args, b"")
    }

    pub fn git_with(&self, args: &[&str], input: &[u8]) -> String {
        let mut git = Command::new("git");
        let repo = self.repo();
        git.current_dir(if repo.exists() {
            &repo
        } else {
            self.dir.path()
        });
        run_git(git, args, input)
    }

    /// Writes a file, commits, gives the commit.
    pub fn commit(&self, name: &str, content: &str, message: &str) -> ObjectId {
        write_files(&self.repo(), &[(name, content)]);
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
        oid(&self.git(&["rev-parse", "HEAD"]))
    }

    /// Commits whatever tree object `tree` is, however hostile, on `main`.
    pub fn commit_tree(&self, tree: &str) -> ObjectId {
        let commit = self.git(&["commit-tree", "-m", "a tree", tree]);
        self.git(&["update-ref", "refs/heads/main", &commit]);
        oid(&commit)
    }

    /// A blob object.
    pub fn blob(&self, content: &[u8]) -> String {
        self.git_with(&["hash-object", "-w", "--stdin"], content)
    }

    /// A tree object written byte by byte, so that git's own checks do not stand in the way.
    pub fn tree(&self, entries: &[(&str, &[u8], &str)]) -> String {
        let mut raw = Vec::new();
        for (mode, name, id) in entries {
            raw.extend_from_slice(mode.as_bytes());
            raw.push(b' ');
            raw.extend_from_slice(name);
            raw.push(0);
            raw.extend_from_slice(oid(id).as_bytes());
        }
        let args = ["hash-object", "-t", "tree", "-w", "--stdin", "--literally"];
        self.git_with(&args, &raw)
    }
}

pub fn oid(hex: &str) -> ObjectId {
    ObjectId::parse(hex).unwrap()
}

/// Writes a script, from another process: one that this process has open for writing while another
/// test's thread forks cannot be executed for a moment.
pub fn script(path: &Path, body: &str) {
    let mut writer = Command::new("sh")
        .args(["-c", "cat >\"$1\" && chmod 755 \"$1\"", "sh"])
        .arg(path)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let text = format!("#!/bin/sh\n{body}\n");
    let mut stdin = writer.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, text.as_bytes()).unwrap();
    drop(stdin);
    assert!(writer.wait().unwrap().success());
}

/// The processes of a group, zombies that wait for another parent not counted.
pub fn group_members(group: u32) -> Vec<String> {
    let mut members = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let Some((_, rest)) = stat.rsplit_once(") ") else {
            continue;
        };
        let fields: Vec<_> = rest.split(' ').collect();
        if fields[2] == group.to_string() && fields[0] != "Z" {
            members.push(stat);
        }
    }
    members
}

/// Waits until nothing of a group is left; SIGKILL is not waited for by the one who sends it.
pub fn nothing_left(group: u32) {
    let until = Instant::now() + Duration::from_secs(2);
    while !group_members(group).is_empty() {
        assert!(Instant::now() < until, "left: {:?}", group_members(group));
        std::thread::sleep(Duration::from_millis(5));
    }
}
