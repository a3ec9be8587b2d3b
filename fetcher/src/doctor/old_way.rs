//! What a makeshift with cron and sudo leaves behind: it goes on updating the checkout, and on giving a piece of
//! root away, beside pp-fetcher.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Finding;
use crate::adopt::{jobs, look};
use crate::config::App;
use crate::process::ask::ask;
use crate::release::layout;
use crate::space;
use crate::util::text::{self, typed};

const LINK: &str = "old way";

/// The most findings of one kind.
const MOST: usize = 20;

/// The time that `sudo` and `crontab` have to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A place where a makeshift still works, and the line there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LeftOver {
    /// A job of cron that pulls from git: in this file, with this line, or in the user's own crontab, whose lines may
    /// have passwords and stay there.
    Job(Option<(String, String)>),
    /// The app's root is a checkout of git, with so many files that git does not have as they are, if git has told.
    Checkout(PathBuf, Option<usize>),
    /// A file in the user's `~/.ssh` with the same key as the app's.
    KeyCopy(PathBuf),
    /// A rule by which sudo runs systemctl, or everything, as root without a password.
    SudoRule(String),
}

/// Tells what is left over. `by_root` is what root has found, if root has started this process.
pub(super) fn look(app: &App, by_root: Option<&[LeftOver]>, tell: &mut dyn FnMut(Finding)) {
    let own;
    let asked = match by_root {
        Some(found) => found,
        // Neither sudo nor crontab gets its rights in the sandbox of a service.
        None if space::in_a_unit() => {
            return tell(Finding::skipped(
                LINK,
                "only root sees this from inside of a service",
            ));
        }
        None => {
            own = ask_all(&["-n", "-l"], &["-l"]);
            &own
        }
    };
    let mut all = jobs_of_host();
    // A line that only runs a script shows by the script that it pulls.
    for job in jobs::of_host(&app.deploy.root) {
        let found = LeftOver::Job(Some((typed(Path::new(&job.file)), clean(&job.line))));
        if !all.contains(&found) {
            all.push(found);
        }
    }
    all.extend_from_slice(asked);
    all.extend(checkout(&app.deploy.root));
    all.extend(key_copy(app));
    for left_over in &all {
        tell(Finding::warning(LINK, message(app, left_over)));
    }
    if all.is_empty() {
        tell(Finding::ok(
            LINK,
            "no `git pull` in /etc/crontab, /etc/cron.d and this user's crontab, no sudo rule for systemctl",
        ));
    }
}

fn message(app: &App, left_over: &LeftOver) -> String {
    match left_over {
        LeftOver::Job(Some((place, line))) => format!(
            "{place} still runs: {line}\n  take the line out once pp-fetcher deploys {}",
            app.name
        ),
        LeftOver::Job(None) => format!(
            "this user's crontab still pulls from git\n  crontab -e, as this user: take the line out once pp-fetcher \
             deploys {}",
            app.name
        ),
        LeftOver::Checkout(root, edits) => format!(
            "{0} is still a checkout of git{1}\n  pp-fetcher does not touch it; git -C {0} status, as its owner, shows what \
             no push has: push it, or move it to {0}/shared",
            typed(root),
            match edits {
                None | Some(0) => String::new(),
                Some(1) => ", with 1 file that no push has as it is".to_owned(),
                Some(n) => format!(", with {n} files that no push has as they are"),
            }
        ),
        LeftOver::KeyCopy(path) => format!(
            "{0} is a copy of the deploy key\n  rm {0}, once nothing else uses it",
            typed(path)
        ),
        LeftOver::SudoRule(rule) => format!(
            "sudo still lets this user restart units without a password: {rule}\n  as root: visudo, and take the rule out; \
             the policy of pp-restarter is there in its place"
        ),
    }
}

/// Finds out whether the app's root is a checkout, as the old way has it, and counts its local edits. This process is the
/// apps' user, never root: a checkout's own configuration can name programs. What pp-fetcher has made does not count.
fn checkout(root: &Path) -> Option<LeftOver> {
    root.join(".git").symlink_metadata().ok()?;
    let mut git = look::git_in(root);
    git.args(["status", "--porcelain", "--", "."]);
    git.args(layout::MADE_IN_ROOT.map(|ours| format!(":(exclude){ours}")));
    let said = ask(&git, b"", PATIENCE)
        .ok()
        .filter(|output| output.code == 0);
    let edits = said.map(|output| output.stdout.split(|b| *b == b'\n').count() - 1);
    Some(LeftOver::Checkout(root.to_owned(), edits))
}

/// Finds a copy of the app's key in the user's own `~/.ssh`.
fn key_copy(app: &App) -> Option<LeftOver> {
    let own = Path::new(&std::env::var_os("HOME")?).join(".ssh");
    let identity = app.ssh.identity.as_ref()?;
    let original = identity
        .metadata()
        .ok()
        .filter(|found| found.is_file() && found.len() > 0)?;
    let key = fs::read(identity).ok()?;
    let mut files = fs::read_dir(own).ok()?.flatten().map(|entry| entry.path());
    let same = |path: &PathBuf| {
        let Ok(found) = path.metadata() else {
            return false;
        };
        let another = (found.dev(), found.ino()) != (original.dev(), original.ino());
        another
            && found.is_file()
            && found.len() == original.len()
            && fs::read(path).is_ok_and(|text| text == key)
    };
    files.find(same).map(LeftOver::KeyCopy)
}

/// Finds, as root, what is left over for the user `name`.
pub(crate) fn found_by_root(name: &str) -> Vec<LeftOver> {
    ask_all(&["-n", "-l", "-U", name], &["-l", "-u", name])
}

/// Asks sudo and crontab, with these arguments.
fn ask_all(sudo: &[&str], crontab: &[&str]) -> Vec<LeftOver> {
    let rules = output("/usr/bin/sudo", sudo);
    let restarts = |line: &&str| {
        let all = line.trim_end().ends_with("NOPASSWD: ALL");
        all || line.contains("NOPASSWD:")
            && (line.contains("systemctl") || line.contains("service"))
    };
    let rules = rules.lines().map(str::trim).filter(restarts);
    let mut found: Vec<_> = rules
        .map(|rule| LeftOver::SudoRule(clean(rule)))
        .take(MOST)
        .collect();
    let own = output("/usr/bin/crontab", crontab);
    found.extend(pulls(&own).next().map(|_| LeftOver::Job(None)));
    found
}

/// Gives what a program prints; nothing if the program is not installed, fails or hangs.
fn output(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments);
    let said = ask(&command, b"", PATIENCE).map(|output| output.stdout);
    String::from_utf8_lossy(&said.unwrap_or_default()).into_owned()
}

/// Finds the jobs that pull in the host's own files of cron.
fn jobs_of_host() -> Vec<LeftOver> {
    let jobs = |file: &PathBuf| {
        let text = fs::read(file).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let place = typed(file);
        let job = |line: String| LeftOver::Job(Some((place.clone(), line)));
        pulls(&text).map(job).collect::<Vec<_>>()
    };
    jobs::crontabs().iter().flat_map(jobs).take(MOST).collect()
}

/// Finds the lines of a crontab that pull from git.
fn pulls(crontab: &str) -> impl Iterator<Item = String> {
    let lines = crontab.lines().map(str::trim);
    let pulls =
        |line: &&str| !line.starts_with('#') && line.contains("git") && line.contains("pull");
    lines.filter(pulls).map(clean)
}

fn clean(line: &str) -> String {
    text::line(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_pulls_is_found_and_a_comment_is_not() {
        let text = "# git pull\n*/5 * * * * gunicorn cd /srv/todo && git pull -q && ./deploy.sh\n* * * * * root true\n";
        let found: Vec<_> = pulls(text).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("*/5"), "{found:?}");
    }
}
