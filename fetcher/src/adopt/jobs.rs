//! What updates a checkout today: the jobs in the host's crontabs, and the scripts that they and other programs run.

use std::fs;
use std::path::{Path, PathBuf};

use super::poller::{self, Job};

/// The largest script that is looked into, in bytes.
const LARGEST: u64 = 256 * 1024;

/// Whether a file is a script that updates the checkout.
pub(super) fn is_poller(file: &Path, directory: &Path) -> bool {
    file.is_absolute()
        && read(file).is_some_and(|script| {
            names_path(&script, &directory.to_string_lossy()) && poller::updates(&script)
        })
}

/// Lists the host's own crontabs, which everybody can read.
pub(crate) fn crontabs() -> Vec<PathBuf> {
    let mut files = vec![PathBuf::from("/etc/crontab")];
    let more = fs::read_dir("/etc/cron.d").into_iter().flatten().flatten();
    // cron reads no file there with a dot in its name.
    let read_by_cron = more.filter(|entry| !entry.file_name().as_encoded_bytes().contains(&b'.'));
    files.extend(read_by_cron.map(|entry| entry.path()));
    files
}

/// Finds the jobs in the host's crontabs that update the checkout: those that name it, or whose script does.
pub(crate) fn of_host(directory: &Path) -> Vec<Job> {
    let named = directory.to_string_lossy();
    let mut jobs = Vec::new();
    for file in crontabs() {
        let Some(crontab) = read(&file) else { continue };
        for line in crontab.lines() {
            if poller::job(line).is_none() {
                continue;
            }
            let script = poller::scripts(line).find(|path| is_poller(Path::new(path), directory));
            if script.is_some() || (names_path(line, &named) && poller::updates(line)) {
                jobs.push(Job {
                    file: file.to_string_lossy().into_owned(),
                    line: line.to_owned(),
                    script: script.map(str::to_owned),
                });
            }
        }
    }
    jobs
}

/// Whether a text has this path, and not only one that begins with it.
fn names_path(text: &str, path: &str) -> bool {
    text.match_indices(path).any(|(at, _)| {
        let next = text
            .get(at + path.len()..)
            .and_then(|rest| rest.chars().next());
        next.is_none_or(|c| !(c.is_alphanumeric() || "._-".contains(c)))
    })
}

/// Reads a file that is no larger than a script is.
pub(crate) fn read(path: &Path) -> Option<String> {
    let found = path.metadata().ok()?;
    let bytes = (found.is_file() && found.len() <= LARGEST).then(|| fs::read(path).ok())?;
    Some(String::from_utf8_lossy(&bytes?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_named_whole() {
        let here = "/var/www/projects/todo";
        assert!(names_path("cd /var/www/projects/todo\n", here));
        assert!(names_path("cd /var/www/projects/todo/ && x", here));
        assert!(!names_path("cd /var/www/projects/todo2", here));
        assert!(!names_path("cd /var/www/projects/todo-old", here));
    }

    #[test]
    fn a_script_of_the_users_own_crontab_is_looked_into() {
        let checkout = tempfile::tempdir().unwrap();
        let (here, script) = (checkout.path().join("app"), checkout.path().join("poll.sh"));
        fs::write(&script, format!("cd {} && git pull", here.display())).unwrap();
        let script = script.to_string_lossy().into_owned();
        assert!(!is_poller(Path::new("/nowhere"), &here));
        assert!(is_poller(Path::new(&script), &here));
        assert!(!is_poller(Path::new(&script), Path::new("/elsewhere")));
    }
}
