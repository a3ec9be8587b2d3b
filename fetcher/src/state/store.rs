//! Reading and writing `state.json`: whole or not at all, and never guessed.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::history::History;
use super::lock::{self, Locked};
use super::record::{SCHEMA, State};
use super::under_way::Place;
use crate::{crash, space};

/// Where the state of every app is unless told otherwise.
pub const DIRECTORY: &str = "/var/lib/pp-fetcher";

/// Largest `state.json` read, in bytes; ours have a few kilobytes.
const LARGEST: u64 = 4 * 1024 * 1024;

/// One app's directory below [`DIRECTORY`].
#[derive(Debug, Clone)]
pub struct StateDir {
    path: PathBuf,
}

/// Why the state cannot be used. Nothing is deployed then: without it, a downgrade or a
/// quarantined revision could not be told from a new one.
#[derive(Debug, Error)]
pub enum StateError {
    /// The file or its directory cannot be read or written.
    #[error("{}: {source}{}", path.display(), advice(source))]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not what we write.
    #[error(
        "{}: not a state file: {what}\n  nothing is deployed until it can be read. Put back a copy, or \
         move it away: the next poll then takes what `current` points at for the live release and \
         forgets which revisions are quarantined",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// It was written by another version of pp-fetcher.
    #[error(
        "{}: written by another version of pp-fetcher (schema {found}, this one knows {SCHEMA})\n  \
         nothing is deployed: install that version again, or move the file away",
        path.display()
    )]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
}

fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            "\n  it belongs to the user that pp-fetcher runs as: runuser -u gunicorn -- pp-fetcher \u{2026}"
        }
        _ => space::advice(error),
    }
}

impl StateDir {
    /// The directory of `app` below `base`.
    #[must_use]
    pub fn new(base: &Path, app: &str) -> Self {
        Self {
            path: base.join(app),
        }
    }

    /// Makes the directory and what belongs into it.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn create(&self) -> Result<(), StateError> {
        let logs = self.path.join("logs");
        fs::create_dir_all(&logs).map_err(|source| StateError::Io { path: logs, source })
    }

    /// The bare mirror of the repository.
    #[must_use]
    pub fn mirror(&self) -> PathBuf {
        self.path.join("mirror.git")
    }

    /// The output of an attempt's build and hooks.
    #[must_use]
    pub fn log(&self, attempt: u64) -> PathBuf {
        self.path.join("logs").join(format!("{attempt}.log"))
    }

    /// Every attempt so far.
    #[must_use]
    pub fn history(&self) -> History {
        History::new(self.path.join("history.jsonl"))
    }

    /// What is being done now.
    #[must_use]
    pub fn under_way(&self) -> Place {
        Place::new(self.path.join("under_way.json"))
    }

    /// Takes the app's lock without waiting.
    ///
    /// # Errors
    /// [`StateError::Io`] if the lock file cannot be opened.
    pub fn lock(&self) -> Result<Locked, StateError> {
        let path = self.path.join("lock");
        lock::try_lock(&path).map_err(|source| StateError::Io { path, source })
    }

    /// Reads the state; the default where there is none yet.
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
        match fs::metadata(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(self.first()),
            Err(source) => return Err(StateError::Io { path, source }),
            Ok(found) if found.len() > LARGEST => return Err(unreadable("too large".into())),
            Ok(_) => {}
        }
        let bytes = fs::read(&path).map_err(|source| StateError::Io {
            path: path.clone(),
            source,
        })?;
        let version: Version =
            serde_json::from_slice(&bytes).map_err(|e| unreadable(e.to_string()))?;
        if version.schema != SCHEMA {
            return Err(StateError::Schema {
                path,
                found: version.schema,
            });
        }
        serde_json::from_slice(&bytes).map_err(|e| unreadable(e.to_string()))
    }

    /// The state where there is none. Numbers go on where the history ends, so that a state that was
    /// moved away does not give two attempts one number and one log.
    fn first(&self) -> State {
        let attempts = self.history().read().unwrap_or_default();
        let last = attempts.iter().map(|attempt| attempt.attempt).max();
        State {
            next_attempt: last.unwrap_or_default().saturating_add(1),
            ..State::default()
        }
    }

    /// Writes the state: a new file, fsynced, renamed over the old one, the directory fsynced.
    ///
    /// # Errors
    /// [`StateError::Io`]; the old state is then still there, whole.
    pub fn save(&self, state: &State) -> Result<(), StateError> {
        let path = self.file();
        self.write(&path, state)
            .map_err(|source| StateError::Io { path, source })
    }

    fn write(&self, path: &Path, state: &State) -> std::io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(".state-")
            .tempfile_in(&self.path)?;
        serde_json::to_writer_pretty(&mut file, state)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        // A temporary file is private; the state is for everybody who may see the directory.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o664);
        file.as_file().set_permissions(mode)?;
        crash::point("before", "state");
        file.persist(path).map_err(|e| e.error)?;
        crash::point("after", "state");
        File::open(&self.path)?.sync_all()
    }

    fn file(&self) -> PathBuf {
        self.path.join("state.json")
    }

    /// Removes temporary files that a crash left. Only under the lock.
    pub fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.path) else {
            return;
        };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(".state-") {
                // What cannot be removed now is in nobody's way; the next poll tries again.
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
