//! Which apps were polled lately: pp-fetcher writes one small file for each app when a pass has ended.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;

/// The most bytes of a file that are read, and the most files.
const LARGEST: (u64, usize) = (64 * 1024, 1000);

#[derive(Deserialize)]
struct Pass {
    /// When the last pass ended that ended well.
    well: Option<Timestamp>,
}

/// Gives when the last pass of each app ended well.
pub(crate) fn read(directory: &Path) -> BTreeMap<String, Option<Timestamp>> {
    let mut found = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir(directory) else {
        return found;
    };
    for entry in entries.flatten().take(LARGEST.1) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(app) = name.strip_suffix(".json") else {
            continue;
        };
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(entry.path());
        let mut bytes = Vec::new();
        let read = opened.and_then(|file| file.take(LARGEST.0).read_to_end(&mut bytes));
        // What cannot be read is no sign of life.
        let pass: Option<Pass> = read.ok().and_then(|_| serde_json::from_slice(&bytes).ok());
        found.insert(app.to_owned(), pass.and_then(|pass| pass.well));
    }
    found
}

/// Whether every app that is to be watched has ended a pass well since the last beat. Remembers those that have.
pub(crate) fn beats(
    passes: &BTreeMap<String, Option<Timestamp>>,
    apps: Option<&[String]>,
    before: &BTreeMap<String, Timestamp>,
) -> Option<BTreeMap<String, Timestamp>> {
    let all: Vec<&String> = match apps {
        Some(apps) => apps.iter().collect(),
        None => passes.keys().collect(),
    };
    if all.is_empty() {
        return None;
    }
    let since = |app: &String| {
        let well = passes.get(app).copied().flatten()?;
        (before.get(app) != Some(&well)).then(|| (app.clone(), well))
    };
    all.into_iter().map(since).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_needs_a_pass_of_every_app_since_the_last_one() {
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        let passes = |a, b| BTreeMap::from([("a".to_owned(), at(a)), ("b".to_owned(), b)]);
        let first = beats(&passes(1, at(1)), None, &BTreeMap::new()).unwrap();
        assert_eq!(beats(&passes(1, at(1)), None, &first), None);
        assert_eq!(beats(&passes(2, at(1)), None, &first), None);
        assert!(beats(&passes(2, at(2)), None, &first).is_some());
        assert_eq!(beats(&passes(2, None), None, &first), None);
        let only = ["a".to_owned()];
        assert!(beats(&passes(2, None), Some(&only), &first).is_some());
        let missing = ["c".to_owned()];
        assert_eq!(beats(&passes(2, None), Some(&missing), &first), None);
        assert_eq!(beats(&BTreeMap::new(), None, &first), None);
    }
}
