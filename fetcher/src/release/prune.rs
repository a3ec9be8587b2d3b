//! Decides which old releases are removed, and removes them unless a process still uses them.

use std::collections::BTreeSet;
use std::fs;

use super::in_use::in_use;
use super::layout::Layout;
use crate::state::State;

/// Which failed release stays on disk, so that a person can look into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptFailure<'a> {
    /// The latest failed release on disk.
    Latest,
    /// The release of this name, which has just failed.
    This(&'a str),
    /// No failed release stays: the room on the disk is needed.
    None,
}

/// The result of pruning.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Names of the releases that were removed.
    pub gone: Vec<String>,
    /// Releases that could not be removed: a sentence for each.
    pub left: Vec<String>,
}

/// Gives the releases among `on_disk` that may be removed. These stay: the release that `current` points at,
/// the releases of a running or stuck attempt, the live release and the good ones before it, `keep` in all,
/// and one failed release as `failed` says.
#[must_use]
pub(crate) fn superfluous(
    state: &State,
    current: Option<&str>,
    on_disk: &[String],
    keep: usize,
    failed: KeptFailure<'_>,
) -> Vec<String> {
    let good = || state.live.iter().chain(&state.earlier);
    let mut stays: BTreeSet<&str> = good().take(keep).map(|k| k.name.as_str()).collect();
    stays.extend(current);
    for trying in state.trying.iter().chain(&state.stuck) {
        stays.insert(&trying.release);
        stays.extend(trying.previous_release.as_deref());
    }
    let ever_good: BTreeSet<&str> = good().map(|release| release.name.as_str()).collect();
    let failures = on_disk.iter().map(String::as_str);
    let failures = failures.filter(|name| !ever_good.contains(name));
    match failed {
        // The latest name is the latest release: names begin with the time.
        KeptFailure::Latest => stays.extend(failures.max()),
        KeptFailure::This(name) => stays.extend(failures.filter(|other| *other == name)),
        KeptFailure::None => {}
    }
    on_disk
        .iter()
        .filter(|name| !stays.contains(name.as_str()))
        .cloned()
        .collect()
}

impl Layout {
    /// Gives the names of all releases on disk.
    #[must_use]
    pub fn on_disk(&self) -> Vec<String> {
        let entries = fs::read_dir(self.releases())
            .into_iter()
            .flatten()
            .flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| !name.starts_with('.')).collect()
    }

    /// Removes superfluous releases from the disk and from `state`; a release that a process uses stays for
    /// now. An error here is left to the next pruning: it never fails a deploy.
    pub fn prune(&self, state: &mut State, keep: usize, failed: KeptFailure<'_>) -> Pruned {
        let mut pruned = Pruned::default();
        // Why `current` cannot be read is reported by the attempt itself.
        let Ok(current) = self.current() else {
            return pruned;
        };
        let superfluous = superfluous(state, current.as_deref(), &self.on_disk(), keep, failed);
        if superfluous.is_empty() {
            return pruned;
        }
        let in_use = in_use(&self.releases());
        for name in superfluous {
            let path = self.release(&name);
            if path.canonicalize().is_ok_and(|path| in_use.contains(&path)) {
                continue;
            }
            if let Err(error) = self.remove(&name) {
                pruned.left.push(format!(
                    "the old release {name} could not be removed: {error}"
                ));
            }
            // A part of the release may be left, but no longer under the release's name.
            if path.symlink_metadata().is_err() {
                pruned.gone.push(name);
            }
        }
        let gone = &pruned.gone;
        state
            .earlier
            .retain(|earlier| !gone.contains(&earlier.name));
        pruned
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revision::Revision;
    use crate::state::{Attempt, Release};
    use jiff::Timestamp;

    fn good(name: &str) -> Release {
        let revision = Revision::parse(&"a".repeat(40)).unwrap();
        Release {
            revision,
            name: name.into(),
            deployed_at: Timestamp::UNIX_EPOCH,
            tag: None,
            surroundings: None,
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn rule_32_failed_releases_never_evict_good_ones() {
        let state = State {
            live: Some(good("05")),
            earlier: vec![good("03"), good("01")],
            ..State::default()
        };
        let disk = names(&["01", "02", "03", "04", "05", "06", "07"]);
        let gone = superfluous(&state, Some("05"), &disk, 2, KeptFailure::Latest);
        assert_eq!(
            gone,
            names(&["01", "02", "04", "06"]),
            "03, 05 are good, 07 failed last"
        );
        // A clock that was set back: the last failed release does not have the latest name.
        let gone = superfluous(&state, Some("05"), &disk, 2, KeptFailure::This("04"));
        assert_eq!(gone, names(&["01", "02", "06", "07"]));
        let gone = superfluous(&state, Some("05"), &disk, 3, KeptFailure::This("03"));
        assert_eq!(
            gone,
            names(&["02", "04", "06", "07"]),
            "03 did not fail at first"
        );
        let gone = superfluous(&state, Some("05"), &disk, 3, KeptFailure::None);
        assert_eq!(gone, names(&["02", "04", "06", "07"]));
    }

    #[test]
    fn what_current_points_at_and_what_is_tried_stays() {
        let trying = Attempt {
            number: 1,
            started_at: Timestamp::UNIX_EPOCH,
            revision: good("x").revision,
            author: "Ada".into(),
            subject: "x".into(),
            signed_by: None,
            release: "04".into(),
            previous: None,
            by: None,
            code: None,
            step: None,
            previous_release: Some("02".into()),
            going_back: None,
            tag: None,
            ill_before: None,
            surroundings: None,
            phases: Vec::new(),
        };
        let tried = State {
            trying: Some(trying.clone()),
            ..State::default()
        };
        let stuck = State {
            stuck: Some(trying),
            ..State::default()
        };
        let disk = names(&["01", "02", "03", "04"]);
        for state in [tried, stuck] {
            let gone = superfluous(&state, Some("03"), &disk, 2, KeptFailure::None);
            assert_eq!(gone, names(&["01"]), "{state:?}");
        }
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
            live: Some(good("03")),
            ..State::default()
        };
        layout.switch("03").unwrap();
        state.earlier = vec![good("02"), good("01")];
        assert_eq!(
            layout.prune(&mut state, 1, KeptFailure::Latest).gone,
            names(&["02"])
        );
        worker.kill().unwrap();
        worker.wait().unwrap();
        assert_eq!(
            layout.prune(&mut state, 1, KeptFailure::Latest).gone,
            names(&["01"])
        );
        assert_eq!(state.earlier, []);
    }
}
