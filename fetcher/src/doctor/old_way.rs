//! What a makeshift with cron and sudo leaves behind: it goes on updating the checkout, and on giving a piece of
//! root away, beside pp-fetcher.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Finding;
use crate::config::App;
use crate::process::ask::ask;
use crate::space;
use crate::util::text;

const LINK: &str = "old way";

/// The time that `sudo` and `crontab` have to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A place where a makeshift still works, and the line there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LeftOver {
    /// A job of cron that pulls from git.
    Job {
        /// The file, or whose crontab.
        place: String,
        /// The job's line.
        line: String,
    },
    /// The app's root is a checkout of git.
    Checkout {
        /// The root.
        root: PathBuf,
        /// The number of files that differ from the commit that is checked out.
        edits: usize,
    },
    /// A file in the user's `~/.ssh` with the same key as the app's.
    KeyCopy(PathBuf),
    /// A rule by which sudo runs systemctl as root without a password.
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
    all.extend_from_slice(asked);
    all.extend(checkout(&app.deploy.root));
    all.extend(key_copy(app));
    for left_over in &all {
        tell(Finding::warning(LINK, message(app, left_over)));
    }
    if all.is_empty() {
        tell(Finding::ok(
            LINK,
            "no job of cron pulls, and sudo restarts nothing for this user",
        ));
    }
}

fn message(app: &App, left_over: &LeftOver) -> String {
    match left_over {
        LeftOver::Job { place, line } => format!(
            "{place} still runs: {line}\n  take the line out once pp-fetcher deploys {}",
            app.name
        ),
        LeftOver::Checkout { root, edits } => format!(
            "{0} is still a checkout of git, in which {edits} files differ from its commit\n  pp-fetcher does not touch \
             it; git -C {0} status shows the files: what is worth keeping is pushed, or moved to {0}/shared",
            root.display()
        ),
        LeftOver::KeyCopy(path) => format!(
            "{} is a copy of the deploy key\n  rm {0}, once nothing else uses it",
            path.display()
        ),
        LeftOver::SudoRule(rule) => format!(
            "sudo still lets this user restart units without a password: {rule}\n  as root: visudo, and take the rule out; \
             the policy of pp-restarter is there in its place"
        ),
    }
}

/// Finds out whether the app's root is a checkout, as the old way has it.
fn checkout(root: &Path) -> Option<LeftOver> {
    root.join(".git").symlink_metadata().ok()?;
    let root_word = root.to_string_lossy();
    let status = output("/usr/bin/git", &["-C", &root_word, "status", "--porcelain"]);
    Some(LeftOver::Checkout {
        root: root.to_owned(),
        edits: status.lines().count(),
    })
}

/// Finds a copy of the app's key in the user's own `~/.ssh`.
fn key_copy(app: &App) -> Option<LeftOver> {
    let own = Path::new(&std::env::var_os("HOME")?).join(".ssh");
    let identity = app.ssh.identity.as_ref()?;
    let key = fs::read(identity).ok().filter(|key| !key.is_empty())?;
    let mut files = fs::read_dir(own).ok()?.flatten().map(|entry| entry.path());
    let same = |path: &PathBuf| {
        let is_file = path
            .metadata()
            .is_ok_and(|found| found.is_file() && found.len() == key.len() as u64);
        is_file && path != identity && fs::read(path).is_ok_and(|text| text == key)
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
    let rules = rules.lines().map(str::trim);
    let rules = rules.filter(|line| line.contains("NOPASSWD:") && line.contains("systemctl"));
    let mut found: Vec<_> = rules.map(|rule| LeftOver::SudoRule(clean(rule))).collect();
    found.extend(jobs(
        "this user's crontab",
        &output("/usr/bin/crontab", crontab),
    ));
    found
}

/// Gives what a program prints; nothing if the program is not installed, fails or hangs.
fn output(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments);
    let said = ask(&command, b"", PATIENCE).map(|output| output.stdout);
    String::from_utf8_lossy(&said.unwrap_or_default()).into_owned()
}

/// Finds the jobs that pull in the host's own files of cron, which everybody can read.
fn jobs_of_host() -> Vec<LeftOver> {
    let mut files = vec![PathBuf::from("/etc/crontab")];
    let directory = fs::read_dir("/etc/cron.d").into_iter().flatten();
    files.extend(directory.flatten().map(|entry| entry.path()));
    let read = |file: &PathBuf| {
        let text = fs::read_to_string(file).unwrap_or_default();
        jobs(&file.display().to_string(), &text).collect::<Vec<_>>()
    };
    files.iter().flat_map(read).collect()
}

/// Finds the lines of a crontab that pull from git.
fn jobs(place: &str, crontab: &str) -> impl Iterator<Item = LeftOver> {
    let lines = crontab.lines().map(str::trim);
    let pulls =
        |line: &&str| !line.starts_with('#') && line.contains("git") && line.contains("pull");
    let job = |line: &str| LeftOver::Job {
        place: place.to_owned(),
        line: clean(line),
    };
    lines.filter(pulls).map(job).collect::<Vec<_>>().into_iter()
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
        let found: Vec<_> = jobs("/etc/crontab", text).collect();
        let [LeftOver::Job { place, line }] = &found[..] else {
            panic!("{found:?}");
        };
        assert!(place == "/etc/crontab" && line.starts_with("*/5"), "{line}");
    }
}
