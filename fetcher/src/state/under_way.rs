//! What a pass is doing now, for `status`: a small file beside the state, there only meanwhile.
//!
//! It decides nothing. It is not synced, and one that a killed process left behind is told by its pid and
//! start time.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

use super::open;

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
pub struct Place {
    base: PathBuf,
    below: PathBuf,
}

impl Place {
    /// The file `below` the directory `base`.
    #[must_use]
    pub fn new(base: PathBuf, below: PathBuf) -> Self {
        Self { base, below }
    }

    fn path(&self) -> PathBuf {
        self.base.join(&self.below)
    }

    /// Says what is done from now on. Nothing depends on it, so what cannot be written is left.
    pub fn say(&self, under_way: &UnderWay) {
        let Ok(text) = serde_json::to_vec(under_way) else {
            return;
        };
        let path = self.path();
        let next = path.with_extension("next");
        // Never through what somebody has put there.
        let _ = fs::remove_file(&next);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let opened = open::open(&self.base, &self.below.with_extension("next"), flags);
        let written = opened
            .and_then(|mut file| file.write_all(&text))
            .and_then(|()| fs::rename(&next, &path));
        if written.is_err() {
            let _ = fs::remove_file(next);
        }
    }

    /// Nothing is done any more.
    pub fn clear(&self) {
        let _ = fs::remove_file(self.path());
    }

    /// What is being done, if whoever said so is still there.
    #[must_use]
    pub fn read(&self) -> Option<UnderWay> {
        let bytes = open::read(&self.base, &self.below, LARGEST).ok()?;
        let said: UnderWay = serde_json::from_slice(&bytes).ok()?;
        (started(said.pid) == Some(said.started)).then_some(said)
    }
}

/// When a process was started: the 22nd field of its `stat` (proc(5)), in clock ticks.
#[must_use]
pub(crate) fn started(pid: u32) -> Option<u64> {
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
        let place = Place::new(directory.path().to_owned(), "under_way.json".into());
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
