//! The log: what became of each delivery, one JSON object a line, in a file and an older one behind it.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The size at which the file becomes the older one.
const LARGEST: u64 = 512 * 1024;

/// One try.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// When.
    pub(crate) at: Timestamp,
    /// The target.
    pub(crate) target: String,
    /// The delivery.
    pub(crate) id: String,
    /// What was told, as one line.
    pub(crate) title: String,
    /// `told`, `again`, `given-up` or `refused`.
    pub(crate) outcome: String,
    /// Why the target was not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
}

fn file(directory: &Path) -> PathBuf {
    directory.join("log.jsonl")
}

fn older(directory: &Path) -> PathBuf {
    directory.join("log.1.jsonl")
}

/// Appends a line.
///
/// # Errors
/// The error of the operating system. No delivery depends on it.
pub(crate) fn append(directory: &Path, line: &Line) -> std::io::Result<()> {
    let path = file(directory);
    if fs::metadata(&path).is_ok_and(|found| found.len() > LARGEST) {
        fs::rename(&path, older(directory))?;
    }
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)?
        .write_all(&text)
}

/// Reads the last lines, the oldest first.
///
/// # Errors
/// The error of the operating system; an absent file is an empty log.
pub(crate) fn last(directory: &Path, most: usize) -> std::io::Result<Vec<Line>> {
    let mut all = Vec::new();
    for path in [older(directory), file(directory)] {
        let mut opened = match File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            other => other?,
        };
        let length = opened.metadata()?.len();
        opened.seek(SeekFrom::Start(length.saturating_sub(2 * LARGEST)))?;
        let mut bytes = Vec::new();
        opened.take(2 * LARGEST).read_to_end(&mut bytes)?;
        let lines = bytes.split(|byte| *byte == b'\n');
        all.extend(lines.filter_map(|line| serde_json::from_slice(line).ok()));
    }
    let from = all.len().saturating_sub(most);
    Ok(all.split_off(from))
}
