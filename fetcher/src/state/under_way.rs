//! What a pass is doing now, for `status`: a small file beside the state, there only meanwhile.
//!
//! It decides nothing. It is not synced, and one that a killed process left behind is told by its pid and
//! start time.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::revision::Revision;

/// Largest file read, in bytes.
const LARGEST: u64 = 64 * 1024;

/// An attempt that is being made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnderWay {
    /// What is being deployed.
    pub revision: Revision,
    /// In words: deploying, going back …
    pub what: String,
    /// The step, as in the history.
    pub phase: Option<String>,
    /// When the step began.
    pub since: Timestamp,
    /// The process that makes it.
    pub pid: u32,
    /// When that was started, in clock ticks since the host's start.
    pub started: u64,
}

/// The file.
#[derive(Debug, Clone)]
pub struct Place(PathBuf);

impl Place {
    /// The file at `path`.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Says what is done from now on. Nothing depends on it, so what cannot be written is left.
    pub fn say(&self, under_way: &UnderWay) {
        let Ok(text) = serde_json::to_vec(under_way) else {
            return;
        };
        let next = self.0.with_extension("next");
        let written = fs::write(&next, text).and_then(|()| fs::rename(&next, &self.0));
        if written.is_err() {
            let _ = fs::remove_file(next);
        }
    }

    /// Nothing is done any more.
    pub fn clear(&self) {
        let _ = fs::remove_file(&self.0);
    }

    /// What is being done, if whoever said so is still there.
    #[must_use]
    pub fn read(&self) -> Option<UnderWay> {
        let found = fs::symlink_metadata(&self.0).ok()?;
        if !found.is_file() || found.len() > LARGEST {
            return None;
        }
        let said: UnderWay = serde_json::from_slice(&fs::read(&self.0).ok()?).ok()?;
        (started(said.pid) == Some(said.started)).then_some(said)
    }
}

/// When a process was started: the 22nd field of its `stat` (proc(5)), in clock ticks.
#[must_use]
pub fn started(pid: u32) -> Option<u64> {
    let stat = fs::read(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The second field is a name in brackets, which may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_that_is_gone_was_doing_is_not_told() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::new(directory.path().join("under_way.json"));
        assert_eq!(place.read(), None);
        let pid = std::process::id();
        let mut said = UnderWay {
            revision: Revision::parse(&"1".repeat(40)).unwrap(),
            what: "deploying".into(),
            phase: Some("build".into()),
            since: Timestamp::UNIX_EPOCH,
            pid,
            started: started(pid).unwrap(),
        };
        place.say(&said);
        assert_eq!(place.read(), Some(said.clone()));
        said.started += 1;
        place.say(&said);
        assert_eq!(place.read(), None);
        place.clear();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
