//! Freezes: a person has decided that nothing new is deployed, of one app or of all. One file for all apps, so that one
//! command freezes a host.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg, OFlag};
use serde::{Deserialize, Serialize};

use super::open;
use crate::util::file::{Durable, replace};

/// The file, below the directory of the state of all apps. No app can have its name.
const FILE: &str = "freezes.json";

/// Size of the largest file that is read, in bytes.
const LARGEST: u64 = 256 * 1024;

/// A freeze.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Freeze {
    /// The reason, as given by the person.
    pub reason: String,
    /// Who has frozen, as far as that is known.
    pub by: Option<String>,
    /// When the freeze began.
    pub since: Timestamp,
    /// When it ends; `None`: when a person ends it.
    pub until: Option<Timestamp>,
}

/// All freezes of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Freezes {
    /// The freeze of all apps.
    #[serde(default)]
    pub host: Option<Freeze>,
    /// Freezes of single apps.
    #[serde(default)]
    pub apps: BTreeMap<String, Freeze>,
}

impl Freeze {
    /// Whether the freeze still holds at `now`.
    #[must_use]
    pub(crate) fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Freezes {
    /// The freeze that holds for an app: the one that ends last.
    #[must_use]
    pub(crate) fn of(&self, app: &str, now: Timestamp) -> Option<&Freeze> {
        let both = self.host.iter().chain(self.apps.get(app));
        let held = both.filter(|freeze| freeze.holds(now));
        held.max_by_key(|freeze| freeze.until.unwrap_or(Timestamp::MAX))
    }

    /// Sets or lifts the freeze of an app, or of the host for `None`. Gives the freeze before.
    pub(crate) fn set(&mut self, app: Option<&str>, freeze: Option<Freeze>) -> Option<Freeze> {
        match (app, freeze) {
            (None, freeze) => std::mem::replace(&mut self.host, freeze),
            (Some(app), Some(freeze)) => self.apps.insert(app.to_owned(), freeze),
            (Some(app), None) => self.apps.remove(app),
        }
    }

    /// Takes those that are over: each with the app, or `None` for the host.
    pub(crate) fn take_expired(&mut self, now: Timestamp) -> Vec<(Option<String>, Freeze)> {
        let mut over = Vec::new();
        let host = self.host.take_if(|freeze| !freeze.holds(now));
        over.extend(host.map(|freeze| (None, freeze)));
        self.apps.retain(|app, freeze| {
            let holds = freeze.holds(now);
            if !holds {
                over.push((Some(app.clone()), freeze.clone()));
            }
            holds
        });
        over
    }
}

/// The file of all freezes below the directory of the state of all apps.
#[derive(Debug, Clone)]
pub(crate) struct FreezeFile {
    base: PathBuf,
}

impl FreezeFile {
    /// Names the file. Opens nothing.
    #[must_use]
    pub(crate) fn new(base: &Path) -> Self {
        Self {
            base: base.to_owned(),
        }
    }

    /// Reads the freezes.
    ///
    /// # Errors
    /// The file cannot be read: whoever decides by it has to take everything for frozen.
    pub(crate) fn read(&self) -> io::Result<Freezes> {
        let named = |error: io::Error| {
            let path = self.base.join(FILE);
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        };
        match open::read(&self.base, Path::new(FILE), LARGEST) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Freezes::default()),
            Err(error) => Err(named(error)),
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| named(error.into())),
        }
    }

    /// Changes the freezes under a lock, and writes them whole. Nothing is written if nothing has changed.
    ///
    /// # Errors
    /// The file cannot be read or written; the freezes before still hold.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Freezes) -> T) -> io::Result<T> {
        let flags = OFlag::O_CREAT | OFlag::O_WRONLY;
        let lock = open::open(&self.base, Path::new("freezes.lock"), flags)?;
        let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
        let before = self.read()?;
        let mut freezes = before.clone();
        let changed = change(&mut freezes);
        if freezes != before {
            let mut text = serde_json::to_vec_pretty(&freezes)?;
            text.push(b'\n');
            let path = self.base.join(FILE);
            replace(&path, ".freezes-", &text, open::FILE, Durable::Yes)?;
        }
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn freeze(until: Option<i64>) -> Freeze {
        Freeze {
            reason: "inventory".into(),
            by: Some("ada".into()),
            since: Timestamp::UNIX_EPOCH,
            until: until.map(|second| Timestamp::from_second(second).unwrap()),
        }
    }

    #[test]
    fn the_longest_freeze_counts_and_those_that_are_over_are_taken_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = FreezeFile::new(directory.path());
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(file.read().unwrap(), Freezes::default());
        file.change(|all| {
            all.set(None, Some(freeze(Some(100))));
            all.set(Some("todo"), Some(freeze(None)));
            all.set(Some("shop"), Some(freeze(Some(50))));
        })
        .unwrap();
        let all = file.read().unwrap();
        assert_eq!(all.of("todo", at(99)).unwrap().until, None);
        assert_eq!(all.of("shop", at(99)).unwrap().until, Some(at(100)));
        assert_eq!(all.of("shop", at(100)), None);
        let over = file.change(|all| all.take_expired(at(60))).unwrap();
        assert_eq!(over, [(Some("shop".to_owned()), freeze(Some(50)))]);
        assert_eq!(file.change(|all| all.take_expired(at(60))).unwrap(), []);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_taken_for_none() {
        let directory = tempfile::tempdir().unwrap();
        let file = FreezeFile::new(directory.path());
        std::fs::write(directory.path().join(FILE), "{").unwrap();
        assert!(file.read().unwrap_err().to_string().contains(FILE));
        assert!(file.change(|_| ()).is_err());
    }
}
