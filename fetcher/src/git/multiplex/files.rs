//! The files that a connection depends on: keys, pinned host keys, ssh's configuration. A connection is ended when one of
//! them changes, so that a pinned key that was removed, or another key, counts at the next poll as it does without a
//! master.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::destination::Destination;
use crate::git::ssh::expanded;
use crate::process::ask::ask;
use crate::util::stamp::Stamp;

/// The time that `ssh -G` has, which asks nobody.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most bytes of a configuration file that are looked at for `Include`.
const LARGEST: u64 = 256 * 1024;

/// The files of one connection, and how they were.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Files {
    files: Vec<(PathBuf, Option<Stamp>)>,
    /// The assignments that ssh's configuration sends to the server (`SetEnv`).
    pub(super) environment: Vec<String>,
}

impl Files {
    /// Finds the files of a destination out, as ssh itself resolves its configuration (`ssh -G`); `None` if it cannot.
    #[must_use]
    pub(super) fn of(destination: &Destination) -> Option<Self> {
        let ssh = &destination.ssh;
        let command = destination.ssh(&["-G"]).ok()?;
        let said = ask(&command, b"", PATIENCE).ok()?;
        if said.code != 0 {
            return None;
        }
        let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
        let output = String::from_utf8_lossy(&said.stdout);
        let environment = output
            .lines()
            .filter_map(|line| line.strip_prefix("setenv "));
        let environment = environment.map(str::to_owned).collect();
        let mut paths = resolved(&output, &home);
        paths.extend(ssh.agent.clone());
        let configurations = match &ssh.config {
            Some(config) => vec![config.clone()],
            None => vec![home.join(".ssh/config"), "/etc/ssh/ssh_config".into()],
        };
        for file in configurations {
            paths.extend(included(&file, &home));
            paths.push(file);
        }
        paths.sort();
        paths.dedup();
        let with_stamp = |path: PathBuf| {
            let stamp = Stamp::of(&path);
            (path, stamp)
        };
        Some(Self {
            files: paths.into_iter().map(with_stamp).collect(),
            environment,
        })
    }

    /// Whether a file is another than it was, or is gone, or is there now.
    #[must_use]
    pub(super) fn have_changed(&self) -> bool {
        self.files.iter().any(|(path, was)| Stamp::of(path) != *was)
    }
}

/// Reads the files from the output of `ssh -G`.
fn resolved(output: &str, home: &Path) -> Vec<PathBuf> {
    const KEYS: [&str; 5] = [
        "identityfile",
        "certificatefile",
        "userknownhostsfile",
        "globalknownhostsfile",
        "revokedhostkeys",
    ];
    let lines = output.lines().filter_map(|line| line.split_once(' '));
    let files = lines.filter(|(key, _)| KEYS.contains(key));
    // Some of these take several files in a line.
    let words = files.flat_map(|(_, value)| value.split_whitespace());
    let paths = words.map(|word| expanded(word, home));
    paths.filter(|path| path.is_absolute()).collect()
}

/// Finds what a configuration file includes: each file that is named, and for a pattern the directory and what is in it.
fn included(file: &Path, home: &Path) -> Vec<PathBuf> {
    let small = file
        .metadata()
        .is_ok_and(|found| found.is_file() && found.len() <= LARGEST);
    let text = small
        .then(|| fs::read(file).ok())
        .flatten()
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
        if !words
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case("include"))
        {
            continue;
        }
        for word in words {
            let word = word.trim_matches('"');
            // A path that is not absolute is below ~/.ssh or /etc/ssh: ssh_config(5).
            let path = home.join(".ssh").join(expanded(word, home));
            if !word.contains(['*', '?', '[']) {
                found.push(path);
                continue;
            }
            let Some(directory) = path.parent() else {
                continue;
            };
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            found.extend(entries.map(|entry| entry.path()));
            found.push(directory.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_those_that_ssh_resolves() {
        let output = "host x\nidentityfile ~/.ssh/id_ed25519\nidentityfile /k/key\nuserknownhostsfile /k/a /k/b\nglobalknownhostsfile none\n";
        let found = resolved(output, Path::new("/home/ada"));
        let wanted = ["/home/ada/.ssh/id_ed25519", "/k/key", "/k/a", "/k/b"];
        assert_eq!(found, wanted.map(PathBuf::from));
    }

    #[test]
    fn what_a_configuration_includes_is_found() {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("config");
        fs::create_dir(home.path().join("more")).unwrap();
        fs::write(home.path().join("more/a"), "").unwrap();
        let at = home.path().display();
        fs::write(
            &config,
            format!("Include {at}/more/*\ninclude=\"/etc/x\"\n# Include /no\nHost y\n"),
        )
        .unwrap();
        let mut found = included(&config, home.path());
        found.sort();
        let mut wanted = vec![
            PathBuf::from("/etc/x"),
            home.path().join("more"),
            home.path().join("more/a"),
        ];
        wanted.sort();
        assert_eq!(found, wanted);
    }

    #[test]
    fn every_change_is_seen() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("known_hosts");
        let of = || Files {
            files: vec![(file.clone(), Stamp::of(&file))],
            environment: Vec::new(),
        };
        let absent = of();
        assert!(!absent.have_changed());
        fs::write(&file, "a").unwrap();
        assert!(absent.have_changed());
        let there = of();
        assert!(!there.have_changed());
        fs::remove_file(&file).unwrap();
        fs::write(&file, "b").unwrap();
        assert!(there.have_changed(), "the same size, another file");
    }
}
