//! The note of an app's last pass: a small file that is replaced after each pass, for `why`, heartbeats and metrics.
//!
//! A pass that finds nothing writes nothing to a disk: the notes of the host's own service are in `/run`, which is
//! memory. Whoever else polls has them below the state. A note has words, times and ids, no reasons, which may quote what
//! others must not read. Nothing depends on it: an error of writing is ignored.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::App;
use crate::deploy::Trigger;
use crate::revision::Revision;
use crate::state::open;
use crate::state::store::DIRECTORY;
use crate::util::file::{Durable, replace};

/// Version of the format.
const SCHEMA: u32 = 1;

/// Where the notes of the host's own service are.
const RUN: &str = "/run/pp-passes";

/// Size of the largest note that is read, in bytes.
const LARGEST: u64 = 64 * 1024;

/// The most codes of failures that are counted.
const MOST_CODES: usize = 50;

/// The note of an app's passes since the host's start, or since the note was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PassNote {
    schema: u32,
    pub(crate) app: String,
    /// When the last pass ended.
    pub(crate) at: Timestamp,
    /// When the last pass ended that ended well.
    pub(crate) well: Option<Timestamp>,
    /// What triggered the last pass: `scheduled`, `requested` or `forced`.
    pub(crate) trigger: String,
    /// What the last pass came to, as in `poll --json`.
    pub(crate) result: String,
    /// The code of the failure, if it failed.
    pub(crate) code: Option<String>,
    /// The revision that the last pass found to be followed.
    pub(crate) seen: Option<Revision>,
    /// The fingerprint of the configuration that the pass went by.
    pub(crate) configuration: String,
    /// How many passes there were.
    pub(crate) passes: u64,
    /// How many of them failed, by code.
    pub(crate) failures: BTreeMap<String, u64>,
    /// How many attempts there were, by outcome.
    pub(crate) attempts: BTreeMap<String, u64>,
    /// The room that the releases took when the last attempt had ended.
    #[serde(default)]
    pub(crate) bytes: Option<u64>,
}

/// What a pass came to.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) trigger: Trigger,
    pub(crate) result: &'static str,
    pub(crate) is_attempt: bool,
    /// Whether the pass ended well; `None`: the forge was not asked, as the last polls failed.
    pub(crate) is_well: Option<bool>,
    pub(crate) code: Option<String>,
    pub(crate) seen: Option<Revision>,
    /// The room that the releases take, if that was counted.
    pub(crate) bytes: Option<u64>,
}

fn directory(state: &Path) -> PathBuf {
    if state == Path::new(DIRECTORY) {
        PathBuf::from(RUN)
    } else {
        state.join("passes.d")
    }
}

/// Reads the note of an app whose state is below `state`.
pub(crate) fn read(state: &Path, app: &str) -> Option<PassNote> {
    let name = format!("{app}.json");
    let bytes = open::read(&directory(state), Path::new(&name), LARGEST).ok()?;
    let note: PassNote = serde_json::from_slice(&bytes).ok()?;
    (note.schema == SCHEMA && note.app == app).then_some(note)
}

/// Notes that a pass has ended.
pub(crate) fn note(state: &Path, app: &App, ended: &Ended) {
    let before = read(state, &app.name);
    let now = Timestamp::now();
    let note = next(before, app, ended, now);
    let directory = directory(state);
    if directory.starts_with(state) {
        let _ = DirBuilder::new().mode(open::DIRECTORY).create(&directory);
    }
    let path = directory.join(format!("{}.json", app.name));
    if let Ok(mut text) = serde_json::to_vec(&note) {
        text.push(b'\n');
        let _ = replace(&path, ".pass-", &text, 0o644, Durable::No);
    }
}

fn next(before: Option<PassNote>, app: &App, ended: &Ended, now: Timestamp) -> PassNote {
    let mut note = before.unwrap_or_else(|| PassNote {
        schema: SCHEMA,
        app: app.name.clone(),
        at: now,
        well: None,
        trigger: String::new(),
        result: String::new(),
        code: None,
        seen: None,
        configuration: String::new(),
        passes: 0,
        failures: BTreeMap::new(),
        attempts: BTreeMap::new(),
        bytes: None,
    });
    note.at = now;
    note.passes += 1;
    note.trigger = match ended.trigger {
        Trigger::Scheduled => "scheduled",
        Trigger::Requested => "requested",
        Trigger::Forced => "forced",
    }
    .to_owned();
    note.result = ended.result.to_owned();
    note.code.clone_from(&ended.code);
    note.seen = ended.seen;
    note.bytes = ended.bytes.or(note.bytes);
    note.configuration.clone_from(&app.fingerprint);
    match ended.is_well {
        Some(true) => note.well = Some(now),
        Some(false) => count(&mut note.failures, ended.code.as_deref().unwrap_or("other")),
        None => {}
    }
    if ended.is_attempt {
        count(&mut note.attempts, ended.result);
    }
    note
}

fn count(counts: &mut BTreeMap<String, u64>, word: &str) {
    if counts.len() < MOST_CODES || counts.contains_key(word) {
        *counts.entry(word.to_owned()).or_default() += 1;
    }
}

/// Removes the notes of apps that are not configured any more: a heartbeat would wait for them.
pub(crate) fn forget_others(state: &Path, apps: &[App]) {
    let Ok(entries) = fs::read_dir(directory(state)) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let app = name.strip_suffix(".json");
        let is_old = app.is_some_and(|app| !apps.iter().any(|known| known.name == app));
        if is_old || name.starts_with(".pass-") {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_counted_and_the_last_good_one_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let text = "repository = \"f:x\"\n[deploy]\nroot = \"/srv/x\"\n";
        let app = App::new("todo", Path::new("x"), toml::from_str(text).unwrap()).unwrap();
        let mut ended = Ended {
            trigger: Trigger::Scheduled,
            result: "nothing",
            is_attempt: false,
            is_well: Some(true),
            code: None,
            bytes: None,
            seen: Revision::parse(&"a".repeat(40)).ok(),
        };
        note(directory.path(), &app, &ended);
        let first = read(directory.path(), "todo").unwrap();
        (ended.result, ended.is_well) = ("error", Some(false));
        ended.code = Some("network".into());
        note(directory.path(), &app, &ended);
        (ended.result, ended.is_attempt) = ("failed", true);
        ended.code = Some("build".into());
        note(directory.path(), &app, &ended);
        let last = read(directory.path(), "todo").unwrap();
        assert_eq!((last.passes, last.well), (3, first.well));
        assert_eq!(last.failures["network"] + last.failures["build"], 2);
        assert_eq!(last.attempts, BTreeMap::from([("failed".to_owned(), 1)]));
        forget_others(directory.path(), &[]);
        assert_eq!(read(directory.path(), "todo"), None);
    }
}
