//! What a release depends on and is in no commit: files of variables, the app's own file, and the files of its units.
//! A fingerprint of each is kept with the release, so that a change without a commit is seen.
//!
//! Files of variables hold secrets, and the group may read the state: the fingerprints are keyed, with a key that only
//! the apps' user reads. Without the key nobody can try out what a file might hold.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use pp_protocol::UnitName;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::config::App;
use crate::util::file;

/// Where systemd looks for files of units (systemd.unit(5)), the first first.
const UNITS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// The most bytes of a file that count.
const LARGEST: u64 = 1024 * 1024;

/// Fingerprints of what a release depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surroundings {
    /// Of the app's file and `config.toml`.
    pub configuration: String,
    /// Of the files under `env_files`.
    pub env_files: String,
    /// Of the files of the app's units.
    pub units: String,
}

impl Surroundings {
    /// Looks at what the app depends on now.
    pub(crate) fn now(app: &App, key: &[u8]) -> Option<Self> {
        let env_files = app.deploy.env_files.iter().map(|file| file.path.clone());
        let units = app.restart.iter().chain(&app.reload).flat_map(files_of);
        Some(Self {
            configuration: app.fingerprint.clone(),
            env_files: print(key, env_files)?,
            units: print(key, units)?,
        })
    }

    /// Names what is another now than it was for `before`.
    #[must_use]
    pub fn changed_since(&self, before: &Self) -> Vec<&'static str> {
        let pairs = [
            ("configuration", &self.configuration, &before.configuration),
            ("env_files", &self.env_files, &before.env_files),
            ("units", &self.units, &before.units),
        ];
        let other = pairs.into_iter().filter(|(_, now, then)| now != then);
        other.map(|(name, ..)| name).collect()
    }
}

/// Gives the fingerprint of files, each with its name; one that cannot be read counts as such.
fn print(key: &[u8], files: impl Iterator<Item = PathBuf>) -> Option<String> {
    let mut hash = Hmac::<Sha256>::new_from_slice(key).ok()?;
    for path in files {
        let mut bytes = Vec::new();
        let read = file::need_regular(&path)
            .and_then(|file: File| file.take(LARGEST).read_to_end(&mut bytes));
        hash.update(path.as_os_str().as_encoded_bytes());
        hash.update(&[0, u8::from(read.is_ok())]);
        hash.update(&bytes);
        hash.update(&(bytes.len() as u64).to_le_bytes());
    }
    let bytes = hash.finalize().into_bytes();
    Some(
        bytes
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    )
}

/// Gives the files of a unit: its own, that of its template, and their drop-ins.
fn files_of(unit: &UnitName) -> Vec<PathBuf> {
    let name = unit.as_str();
    let template = name
        .split_once('@')
        .map(|(before, _)| format!("{before}@.service"));
    let mut files = Vec::new();
    for directory in UNITS.map(Path::new) {
        for name in std::iter::once(name).chain(template.as_deref()) {
            let own = directory.join(name);
            if own.is_file() {
                files.push(own);
            }
            let drop_ins = fs::read_dir(directory.join(format!("{name}.d")));
            let mut found: Vec<_> = drop_ins
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|ending| ending == "conf"))
                .collect();
            found.sort();
            files.extend(found);
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_changed_is_named_and_without_the_key_nothing_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let env = directory.path().join("env");
        fs::write(&env, "SECRET=1\n").unwrap();
        let text = format!(
            "repository = \"f:x\"\n[deploy]\nroot = \"/srv/x\"\nenv_files = [\"{}\"]\n",
            env.display()
        );
        let mut app = App::new("todo", Path::new("x"), toml::from_str(&text).unwrap()).unwrap();
        let key = [7; 32];
        let before = Surroundings::now(&app, &key).unwrap();
        assert_eq!(
            Surroundings::now(&app, &key)
                .unwrap()
                .changed_since(&before),
            [""; 0]
        );
        fs::write(&env, "SECRET=1\n").unwrap();
        assert_eq!(
            Surroundings::now(&app, &key)
                .unwrap()
                .changed_since(&before),
            [""; 0]
        );
        fs::write(&env, "SECRET=2\n").unwrap();
        assert_eq!(
            Surroundings::now(&app, &key)
                .unwrap()
                .changed_since(&before),
            ["env_files"]
        );
        fs::remove_file(&env).unwrap();
        assert_eq!(
            Surroundings::now(&app, &key)
                .unwrap()
                .changed_since(&before),
            ["env_files"]
        );
        app.fingerprint = "other".into();
        let changed = Surroundings::now(&app, &key)
            .unwrap()
            .changed_since(&before);
        assert_eq!(changed, ["configuration", "env_files"]);
        let other = Surroundings::now(&app, &[8; 32]).unwrap();
        assert_ne!(other.units, before.units);
    }
}
