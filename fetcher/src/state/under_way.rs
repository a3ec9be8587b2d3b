//! `under_way.json`: what a pass does now, for `status`. A small file in the app's state directory that
//! exists only while the pass runs.
//!
//! No decision depends on the file, so it is not synced. A file that a killed process left behind is
//! recognized by the process id and start time in it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

use super::attempt::PhaseTime;
use super::open;
use crate::revision::Revision;

/// Size of the largest file that is read, in bytes.
const LARGEST: u64 = 64 * 1024;

/// An attempt that is running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnderWay {
    /// The revision that is being deployed.
    pub revision: Revision,
    /// What the attempt does, as words for people: deploying, going back …
    pub what: String,
    /// The name of the running step, as in the history.
    pub phase: Option<String>,
    /// When the running step began.
    pub since: Timestamp,
    /// The steps that have ended, as the history will have them.
    #[serde(default)]
    pub ended: Vec<PhaseTime>,
    /// The id of the process that makes the attempt.
    pub pid: u32,
    /// When that process was started, in clock ticks since the host's start.
    pub started: u64,
}

/// The file `under_way.json` of one app.
#[derive(Debug, Clone)]
pub struct Place {
    base: PathBuf,
    below: PathBuf,
}

impl Place {
    /// Names the file `below` the directory `base`. Opens nothing.
    #[must_use]
    pub fn new(base: PathBuf, below: PathBuf) -> Self {
        Self { base, below }
    }

    fn path(&self) -> PathBuf {
        self.base.join(&self.below)
    }

    /// Writes what the attempt does from now on. No decision depends on the file, so an error of writing is
    /// ignored.
    pub fn say(&self, under_way: &UnderWay) {
        let Ok(text) = serde_json::to_vec(under_way) else {
            return;
        };
        let path = self.path();
        let next = path.with_extension("next");
        // Removed first, so that nothing is written through a link that was put there.
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

    /// Removes the file: nothing is being done any more.
    pub fn clear(&self) {
        let _ = fs::remove_file(self.path());
    }

    /// Reads what is being done now; `None` if the process that wrote the file has ended.
    #[must_use]
    pub fn read(&self) -> Option<UnderWay> {
        let bytes = open::read(&self.base, &self.below, LARGEST).ok()?;
        let said: UnderWay = serde_json::from_slice(&bytes).ok()?;
        (started(said.pid) == Some(said.started)).then_some(said)
    }
}

/// Gives the start time of a process in clock ticks: the 22nd field of its `stat` (proc(5)).
#[must_use]
pub(crate) fn started(pid: u32) -> Option<u64> {
    let stat = fs::read(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The second field is the program's name in brackets, which may hold any character.
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
            ended: Vec::new(),
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
