//! Scenes with the real program: what is typed, and what a person then sees.

#![allow(dead_code, unreachable_pub, reason = "every suite uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

#[path = "../program/mod.rs"]
mod program;
mod snapshots;

use std::path::PathBuf;
use std::process::{Command, Output};

pub use program::{Home, run_git, write_files};
pub use snapshots::as_before;

/// An app `todo` with a repository that anybody may read, and what was typed so far.
pub struct Stage {
    pub home: Home,
    typed: String,
    commits: u32,
}

impl Stage {
    /// The app's file has `more` at its end.
    pub fn new(more: &str) -> Self {
        let stage = Self {
            home: Home::new(),
            typed: String::new(),
            commits: 0,
        };
        stage.configure(more);
        stage.git(&["init", "-q", "-b", "main", "forge"]);
        stage
    }

    pub fn configure(&self, more: &str) {
        let text = format!(
            "repository = \"file://{0}/forge\"\n[deploy]\nroot = \"{0}/root\"\n{more}",
            self.home.path().display()
        );
        self.home.app("todo", &text);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Pushes a commit with these files; those that begin with `#!` can be executed.
    pub fn push(&mut self, files: &[(&str, &str)], subject: &str) -> String {
        write_files(&self.path("forge"), files);
        self.git(&["-C", "forge", "add", "-A"]);
        self.commits += 1;
        self.git(&["-C", "forge", "commit", "-q", "-m", subject]);
        self.git(&["-C", "forge", "rev-parse", "HEAD"])
    }

    /// git, with the same time on every machine.
    pub fn git(&self, args: &[&str]) -> String {
        let when = format!("2026-01-0{}T12:00:00Z", 1 + self.commits % 9);
        let mut git = self.home.command("git");
        git.env("GIT_AUTHOR_DATE", &when)
            .env("GIT_COMMITTER_DATE", when);
        run_git(git, args, b"")
    }

    /// A command of the program, its environment like cron's.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.fetcher(arguments);
        command.env_clear().env("HOME", self.home.path());
        command.env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8");
        command
    }

    /// Types a command and writes down what comes of it.
    pub fn types(&mut self, line: &str) -> Output {
        let arguments: Vec<&str> = words(line);
        let output = self.command(&arguments).output().unwrap();
        self.saw(line, &output);
        output
    }

    /// The same without `--config` and `--state`, which a usage line would name.
    pub fn types_bare(&mut self, line: &str) -> Output {
        let mut command = self.home.command(self.home.path().join("pp-fetcher"));
        command.env_clear().args(words(line));
        let output = command.output().unwrap();
        self.saw(line, &output);
        output
    }

    /// Writes down a command that was run elsewhere.
    pub fn saw(&mut self, line: &str, output: &Output) {
        let out = String::from_utf8_lossy(&output.stdout);
        let err = String::from_utf8_lossy(&output.stderr);
        self.typed.push_str(&format!("$ pp-fetcher {line}\n{out}"));
        if !err.is_empty() {
            self.typed.push_str(&format!("[on standard error]\n{err}"));
        }
        let code = output.status.code();
        self.typed.push_str(&format!(
            "[exit {}]\n\n",
            code.map_or("by a signal".into(), |c| c.to_string())
        ));
    }

    /// What was seen is what was seen before, apart from times, durations and this directory.
    pub fn is_as_before(&self, name: &str) {
        as_before(name, &self.typed, self.home.path());
    }
}

/// The words of a line; a quoted one may hold blanks.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for (number, piece) in line.split('"').enumerate() {
        if number % 2 == 1 {
            words.push(piece);
        } else {
            words.extend(piece.split_whitespace());
        }
    }
    words
}
