//! Reading and writing `state.json`: whole or not at all, and a file that cannot be read is never
//! interpreted.

use std::fs::{self, File};
use std::io::{Read, Take};
use std::path::{Path, PathBuf};

use pp_events::Outbox;
use serde_json::{Map, Value};
use thiserror::Error;

use super::freeze::FreezeFile;
use super::history::History;
use super::lock::{self, LockAttempt};
use super::record::{SCHEMA, State};
use super::under_way::Place;
use super::{attempt, modes, open};
use crate::util::file::{self, Durable};
use crate::{crash, space};

/// The directory of the state of all apps, unless `--state` names another.
pub(crate) const DIRECTORY: &str = "/var/lib/pp-fetcher";

/// The name of the state file in an app's directory.
const FILE: &str = "state.json";

/// How the names of temporary files begin.
const TEMPORARY: &str = ".state-";

/// Size of the largest `state.json` that is read, in bytes; pp-fetcher writes a few kilobytes.
const LARGEST: u64 = 4 * 1024 * 1024;

/// The directory of one app's state, below [`DIRECTORY`].
#[derive(Debug, Clone)]
pub struct StateDir {
    base: PathBuf,
    app: String,
    path: PathBuf,
}

/// Why the state of an app cannot be used. Nothing is deployed then: without the state, a downgrade or a
/// quarantined revision would look like a new revision.
#[derive(Debug, Error)]
pub enum StateError {
    /// The file or its directory cannot be read or written.
    #[error("{}: {source}{}", path.display(), advice(source))]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The file is not a state file as pp-fetcher writes it.
    #[error(
        "{}: not a state file: {what}\n  nothing is deployed until it can be read. Put back a copy, or \
         move it away: the next poll then takes what `current` points at for the live release and \
         forgets which revisions are quarantined",
        path.display()
    )]
    Unreadable {
        /// The state file.
        path: PathBuf,
        /// What is wrong with the state file.
        what: String,
    },
    /// The state file was written by another version of pp-fetcher.
    #[error(
        "{}: written by another version of pp-fetcher (schema {found}, this one knows {SCHEMA})\n  \
         nothing is deployed: install that version again, or move the file away",
        path.display()
    )]
    Schema {
        /// The state file.
        path: PathBuf,
        /// The version of the format in the state file.
        found: u32,
    },
}

fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            "\n  it belongs to the apps' user: run the same command as root, which becomes that user, or as that user by sudo -u"
        }
        _ => space::advice(error),
    }
}

impl StateDir {
    /// Names the directory of `app` below `base`. Opens nothing.
    #[must_use]
    pub fn new(base: &Path, app: &str) -> Self {
        Self {
            base: base.to_owned(),
            app: app.to_owned(),
            path: base.join(app),
        }
    }

    /// Makes the app's directory and `logs/` in it. The group may read the state but not write it: a user who
    /// can write the state can do whatever the apps' user can.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn create(&self) -> Result<(), StateError> {
        let logs = self.path.join("logs");
        let made = modes::make(&self.path).and_then(|()| modes::make(&logs));
        made.map_err(|source| StateError::Io { path: logs, source })
    }

    fn below(&self, name: &str) -> PathBuf {
        Path::new(&self.app).join(name)
    }

    /// Opens the end of an attempt's log, at most its last `most` bytes. Gives it with the number of bytes
    /// before it.
    ///
    /// # Errors
    /// The error of the operating system, or the log is not a regular file.
    pub fn output(&self, attempt: u64, most: u64) -> std::io::Result<(Take<File>, u64)> {
        open::end(
            &self.base,
            &self.below(&format!("logs/{attempt}.log")),
            most,
        )
    }

    /// Gives the path of the bare mirror of the app's repository.
    #[must_use]
    pub fn mirror(&self) -> PathBuf {
        self.path.join("mirror.git")
    }

    /// Gives the path of the log with the output of an attempt's build script and hooks.
    #[must_use]
    pub fn log(&self, attempt: u64) -> PathBuf {
        self.path.join("logs").join(format!("{attempt}.log"))
    }

    /// Gives the history of the app: every attempt so far.
    #[must_use]
    pub fn history(&self) -> History {
        History::new(self.base.clone(), self.below("history.jsonl"))
    }

    /// Gives the file that holds what the running pass does now.
    #[must_use]
    pub fn under_way(&self) -> Place {
        Place::new(self.base.clone(), self.below("under_way.json"))
    }

    /// Gives the key of fingerprints of files that hold secrets, which is made if there is none. Only the apps' user can
    /// read the key: who else reads the state cannot try out what such a file may hold.
    ///
    /// # Errors
    /// The key cannot be read, or not be made.
    pub(crate) fn key(&self) -> std::io::Result<Vec<u8>> {
        match self.key_if_there() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            other => return other,
        }
        let mut key = vec![0; 32];
        File::open("/dev/urandom")?.read_exact(&mut key)?;
        let path = self.path.join("fingerprint.key");
        file::replace(&path, TEMPORARY, &key, 0o600, Durable::Yes)?;
        Ok(key)
    }

    /// Gives the key that [`Self::key`] has made.
    ///
    /// # Errors
    /// The key cannot be read, or there is none.
    pub(crate) fn key_if_there(&self) -> std::io::Result<Vec<u8>> {
        open::read(&self.base, &self.below("fingerprint.key"), 1024)
    }

    /// Gives the file of the freezes of all apps.
    #[must_use]
    pub(crate) fn freezes(&self) -> FreezeFile {
        FreezeFile::new(&self.base)
    }

    /// Gives the outbox of all apps.
    #[must_use]
    pub(crate) fn outbox(&self) -> Outbox {
        Outbox::of(&self.base)
    }

    /// The path of the state file.
    #[must_use]
    pub(crate) fn file(&self) -> PathBuf {
        self.path.join(FILE)
    }

    /// Takes the app's lock without waiting; makes the lock file if needed.
    ///
    /// # Errors
    /// [`StateError::Io`] if the lock file cannot be opened.
    pub fn lock(&self) -> Result<LockAttempt, StateError> {
        let path = self.path.join("lock");
        lock::try_lock(&self.base, &self.below("lock"))
            .map_err(|source| StateError::Io { path, source })
    }

    /// Takes the app's lock without waiting; `None` if there is no lock file, and none is made.
    ///
    /// # Errors
    /// [`StateError::Io`] if the lock file cannot be opened.
    pub(crate) fn lock_if_there(&self) -> Result<Option<LockAttempt>, StateError> {
        let path = self.path.join("lock");
        lock::try_lock_if_there(&self.base, &self.below("lock"))
            .map_err(|source| StateError::Io { path, source })
    }

    /// Reads the state; gives the initial state if there is no state file yet.
    ///
    /// # Errors
    /// Any [`StateError`]: an existing file that cannot be read is never taken for an absent one.
    pub fn load(&self) -> Result<State, StateError> {
        #[derive(serde::Deserialize)]
        struct Version {
            schema: u32,
        }
        let path = self.file();
        let unreadable = |what: String| StateError::Unreadable {
            path: path.clone(),
            what,
        };
        let bytes = match open::read(&self.base, &self.below(FILE), LARGEST) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(self.first()),
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => {
                return Err(unreadable(format!("it {e}")));
            }
            Err(source) => return Err(StateError::Io { path, source }),
        };
        let version: Version =
            serde_json::from_slice(&bytes).map_err(|e| unreadable(e.to_string()))?;
        if version.schema != SCHEMA {
            return Err(StateError::Schema {
                path,
                found: version.schema,
            });
        }
        let mut state: Map<String, Value> =
            serde_json::from_slice(&bytes).map_err(|e| unreadable(e.to_string()))?;
        for name in ["trying", "stuck"] {
            if let Some(Value::Object(attempt)) = state.get_mut(name) {
                attempt::migrate(attempt);
            }
        }
        serde_json::from_value(Value::Object(state)).map_err(|e| unreadable(e.to_string()))
    }

    /// Gives the state of an app without a state file. Attempts are numbered on from the end of the history,
    /// so that after a state file was moved away no two attempts share a number and a log.
    fn first(&self) -> State {
        let attempts = self.history().read().unwrap_or_default();
        let last = attempts.iter().map(|ended| ended.attempt.number).max();
        State {
            next_attempt: last.unwrap_or_default().saturating_add(1),
            ..State::default()
        }
    }

    /// Writes the state to a new file, syncs it, renames it over the old file, and syncs the directory.
    ///
    /// # Errors
    /// [`StateError::Io`]; the old state file is then still there, whole, unless the directory alone could not be synced.
    pub fn save(&self, state: &State) -> Result<(), StateError> {
        let path = self.file();
        self.write(&path, state)
            .map_err(|source| StateError::Io { path, source })
    }

    fn write(&self, path: &Path, state: &State) -> std::io::Result<()> {
        let mut text = serde_json::to_vec_pretty(state)?;
        text.push(b'\n');
        let new = file::write_beside(path, TEMPORARY, &text, open::FILE, Durable::Yes)?;
        crash::point("before", "state");
        file::put(new, path, Durable::Yes)?;
        crash::point("after", "state");
        Ok(())
    }

    /// Removes temporary files that a crash left behind. Only call it while holding the app's lock.
    pub fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.path) else {
            return;
        };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
                // A file that cannot be removed now does no harm; the next poll tries again.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state_dir() -> (tempfile::TempDir, StateDir) {
        let base = tempfile::tempdir().unwrap();
        let dir = StateDir::new(base.path(), "todo");
        dir.create().unwrap();
        (base, dir)
    }

    #[test]
    fn what_was_saved_is_loaded_and_nothing_else_is_left() {
        let (_base, dir) = state_dir();
        let state = State {
            next_attempt: 7,
            ..State::default()
        };
        dir.save(&state).unwrap();
        dir.save(&state).unwrap();
        assert_eq!(dir.load().unwrap(), state);
        let names: Vec<_> = fs::read_dir(&dir.path)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }

    #[test]
    fn an_attempt_of_an_earlier_version_is_read_with_the_release_before_it() {
        let (_base, dir) = state_dir();
        let id = "a".repeat(40);
        let attempt = format!(
            r#"{{"attempt":3,"started_at":"2026-01-01T00:00:00Z","revision":"{id}","author":"Ada","subject":"x",
            "release":"new","previous":"old","going_back":null,"phases":[{{"phase":"fetch","ms":1}}]}}"#
        );
        let text = format!(
            r#"{{"schema":1,"next_attempt":4,"live":{{"revision":"{id}","release":"old",
            "deployed_at":"2026-01-01T00:00:00Z"}},"earlier":[],"trying":{attempt},"quarantined":[],"trouble":null,
            "stuck":{attempt}}}"#
        );
        fs::write(dir.file(), text).unwrap();
        let state = dir.load().unwrap();
        assert_eq!(state.live.as_ref().unwrap().name, "old");
        for attempt in [&state.trying, &state.stuck] {
            let attempt = attempt.as_ref().unwrap();
            assert_eq!((attempt.number, attempt.release()), (3, Some("new")));
            assert_eq!(attempt.previous_release.as_deref(), Some("old"));
            assert_eq!(attempt.previous, None);
        }
        dir.save(&state).unwrap();
        assert_eq!(dir.load().unwrap(), state);
    }

    #[test]
    fn rule_28_a_state_that_cannot_be_read_is_not_taken_for_an_empty_one() {
        let (_base, dir) = state_dir();
        assert_eq!(dir.load().unwrap(), State::default());
        for (bytes, expected) in [
            (&b""[..], "EOF"),
            (b"{", "EOF"),
            (b"{\"schema\":1}", "missing field"),
            (b"\0\0\0\0", "expected value"),
            (b"{\"schema\":2,\"new\":true}", "schema 2"),
        ] {
            fs::write(dir.file(), bytes).unwrap();
            let error = dir.load().unwrap_err().to_string();
            assert!(
                error.contains(expected) && error.contains("state.json"),
                "{error}"
            );
        }
    }
}
