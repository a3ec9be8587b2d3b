//! Which releases go, and what keeps one that would.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::layout::Layout;
use crate::crash;
use crate::state::State;

/// The releases among `on_disk` that may go: all but what `current` points at, what is being
/// tried, the live one and the good ones before it, `keep` in all, and the latest that failed.
#[must_use]
pub fn superfluous(
    state: &State,
    current: Option<&str>,
    on_disk: &[String],
    keep: usize,
) -> Vec<String> {
    let good = state
        .live
        .iter()
        .chain(&state.earlier)
        .map(|kept| kept.release.as_str());
    let mut stays: BTreeSet<&str> = good.take(keep).collect();
    stays.extend(current);
    if let Some(trying) = &state.trying {
        stays.insert(&trying.release);
        stays.extend(trying.previous.as_deref());
    }
    let ever_good: BTreeSet<&str> = state
        .live
        .iter()
        .chain(&state.earlier)
        .map(|kept| kept.release.as_str())
        .collect();
    // Names begin with the time, so the greatest of those that were never good is the latest.
    stays.extend(
        on_disk
            .iter()
            .map(String::as_str)
            .filter(|n| !ever_good.contains(n))
            .max(),
    );
    on_disk
        .iter()
        .filter(|name| !stays.contains(name.as_str()))
        .cloned()
        .collect()
}

impl Layout {
    /// The names of all releases on disk.
    #[must_use]
    pub fn on_disk(&self) -> Vec<String> {
        let entries = fs::read_dir(self.releases())
            .into_iter()
            .flatten()
            .flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| !name.starts_with('.')).collect()
    }

    /// Removes superfluous releases and forgets them; those in use by a process stay for now.
    /// Whatever goes wrong here is left for the next time: pruning never fails a deploy.
    pub fn prune(&self, state: &mut State, keep: usize) -> Vec<String> {
        let Ok(current) = self.current() else {
            return Vec::new();
        };
        let in_use = in_use();
        let mut gone = Vec::new();
        for name in superfluous(state, current.as_deref(), &self.on_disk(), keep) {
            let path = self.release(&name);
            let canonical = path.canonicalize().unwrap_or_else(|_| path.clone());
            if in_use.iter().any(|used| used.starts_with(&canonical)) {
                continue;
            }
            // Renamed first, so that a removal cut short leaves something the sweep knows.
            let doomed = self.unfinished(&name);
            if fs::rename(&path, &doomed).is_ok() {
                crash::point("during", "prune");
                let _ = fs::remove_dir_all(&doomed);
                gone.push(name);
            }
        }
        state.earlier.retain(|kept| !gone.contains(&kept.release));
        gone
    }
}

/// Where the processes we may look at (our own uid's) have their working directory and root.
fn in_use() -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let links = |process: PathBuf| ["cwd", "root", "exe"].map(|link| process.join(link));
    let paths = processes.flat_map(|process| links(process.path()));
    paths
        .filter_map(|link| fs::read_link(link).ok())
        .filter(|p| p != Path::new("/"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revision::Revision;
    use crate::state::{Kept, Trying};
    use jiff::Timestamp;

    fn kept(name: &str) -> Kept {
        let revision = Revision::parse(&"a".repeat(40)).unwrap();
        Kept {
            revision,
            release: name.into(),
            deployed_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn rule_32_failed_releases_never_evict_good_ones() {
        let state = State {
            live: Some(kept("05")),
            earlier: vec![kept("03"), kept("01")],
            ..State::default()
        };
        let disk = names(&["01", "02", "03", "04", "05", "06", "07"]);
        let gone = superfluous(&state, Some("05"), &disk, 2);
        assert_eq!(
            gone,
            names(&["01", "02", "04", "06"]),
            "03, 05 are good, 07 failed last"
        );
    }

    #[test]
    fn what_current_points_at_and_what_is_tried_stays() {
        let trying = Trying {
            attempt: 1,
            started_at: Timestamp::UNIX_EPOCH,
            revision: kept("x").revision,
            author: "Ada".into(),
            subject: "x".into(),
            signed_by: None,
            release: "04".into(),
            previous: Some("02".into()),
            going_back: None,
        };
        let state = State {
            trying: Some(trying),
            ..State::default()
        };
        let gone = superfluous(&state, Some("03"), &names(&["01", "02", "03", "04"]), 2);
        assert_eq!(gone, names(&["01"]));
    }

    #[test]
    fn a_release_that_a_process_works_in_stays() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        layout.create().unwrap();
        for name in ["01", "02", "03"] {
            fs::create_dir(layout.release(name)).unwrap();
        }
        let mut worker = std::process::Command::new("sleep")
            .arg("60")
            .current_dir(layout.release("01"))
            .spawn()
            .unwrap();
        let mut state = State {
            live: Some(kept("03")),
            ..State::default()
        };
        layout.switch("03").unwrap();
        state.earlier = vec![kept("02"), kept("01")];
        assert_eq!(layout.prune(&mut state, 1), names(&["02"]));
        worker.kill().unwrap();
        worker.wait().unwrap();
        assert_eq!(layout.prune(&mut state, 1), names(&["01"]));
        assert_eq!(state.earlier, []);
    }
}
