//! The file of stored limits: how full each unit's limit is. It outlives the service, so that neither a crash
//! nor a new policy allows callers more requests than before.
//!
//! Each line is about one unit: the moment at which its limit is full again, in milliseconds of
//! CLOCK_BOOTTIME as twenty digits, then a blank and the unit's name. The file is opened and laid out once, at
//! start; later only the digits are overwritten in place.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use pp_protocol::UnitName;

use crate::pair::millis;
use crate::policy::{Limit, Policy};

/// The path of the file: beside the restarter's socket, in a directory that belongs to root and that is empty
/// after a boot.
pub(crate) const FILE: &str = "/run/pp-restarter/limits";

/// Most bytes of the file that are read: enough for ten thousand units.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Most lines that are kept for units that are not in the policy.
const MOST_GONE: usize = 1000;

/// Number of digits of the moment at the beginning of each line.
const DIGITS: usize = 20;

/// The open file of stored limits.
#[derive(Debug, Default)]
pub struct StoredLimits {
    file: Option<File>,
    /// The offset in the file at which each unit's digits begin, by the unit's index in the policy.
    places: Vec<u64>,
}

impl StoredLimits {
    /// Opens the file at `path` and lays it out for the units of `policy`. Also returns, for each unit, the time
    /// until its limit is full again.
    ///
    /// # Errors
    /// The file cannot be opened or written.
    pub fn open(path: &Path, policy: &Policy) -> io::Result<(Self, Vec<Duration>)> {
        let mut file = open(path).or_else(|_| {
            // What is at this path cannot be used, such as a symbolic link. Only root can have put it there,
            // so it may be removed.
            std::fs::remove_file(path)?;
            open(path)
        })?;
        let mut old = Vec::new();
        Read::by_ref(&mut file)
            .take(LARGEST)
            .read_to_end(&mut old)?;
        let old = String::from_utf8_lossy(&old).into_owned();
        let now = now();
        let mut old: BTreeMap<_, _> = old.lines().filter_map(|line| read(line, now)).collect();
        let (mut text, mut places, mut missing) = (String::new(), Vec::new(), Vec::new());
        let line = |name: &UnitName, left| {
            format!("{} {name}\n", number(now.saturating_add(millis(left))))
        };
        for unit in &policy.units {
            let left = old.remove(&unit.name).unwrap_or_default();
            // If the policy's limit for the unit fills up faster than before, that counts at once.
            let left = left.min(unit.limit.refill());
            places.push(text.len() as u64);
            text.push_str(&line(&unit.name, left));
            missing.push(left);
        }
        // Lines of units that are not in the policy are kept: a mistake in a file may have taken the units out
        // of it for a minute.
        for (name, left) in old.into_iter().take(MOST_GONE) {
            text.push_str(&line(&name, left));
        }
        file.write_all_at(text.as_bytes(), 0)?;
        file.set_len(text.len() as u64)?;
        let file = Some(file);
        Ok((Self { file, places }, missing))
    }

    /// Stores that the limit of the unit with the index `unit` is full again after `missing`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn store(&self, unit: usize, missing: Duration) -> io::Result<()> {
        let (Some(file), Some(place)) = (&self.file, self.places.get(unit)) else {
            return Ok(());
        };
        let full_at = now().saturating_add(millis(missing));
        file.write_all_at(number(full_at).as_bytes(), *place)
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options.open(path)
}

/// Reads one line. Returns its unit and the time until the unit's limit is full, or `None` if the line is
/// malformed or the limit is full already.
fn read(line: &str, now: u64) -> Option<(UnitName, Duration)> {
    let (digits, name) = line.split_once(' ')?;
    let left = Duration::from_millis(digits.parse::<u64>().ok()?.checked_sub(now)?);
    let ahead = !left.is_zero();
    ahead.then_some((UnitName::parse(name).ok()?, left.min(Limit::LONGEST)))
}

fn number(value: u64) -> String {
    format!("{value:0DIGITS$}")
}

/// Returns the milliseconds since the host's start, including the time that it was suspended.
fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from);
    millis(time.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Unit;

    fn policy(names: &[&str]) -> Policy {
        let unit = |name: &&str| Unit {
            name: UnitName::parse(name).unwrap(),
            limit: Limit::DEFAULT,
            grants: Vec::new(),
        };
        Policy {
            units: names.iter().map(unit).collect(),
            ..Policy::default()
        }
    }

    #[test]
    fn rule_41_a_limit_outlives_the_service_and_another_order_of_the_units() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("limits");
        let (stored, missing) =
            StoredLimits::open(&path, &policy(&["a.service", "b.service"])).unwrap();
        assert_eq!(missing, [Duration::ZERO; 2]);
        stored.store(1, Duration::from_secs(30)).unwrap();
        let again = policy(&["b.service", "new.service", "a.service"]);
        let (_, missing) = StoredLimits::open(&path, &again).unwrap();
        assert!(
            (29_000..=30_001).contains(&missing[0].as_millis()),
            "{missing:?}"
        );
        assert_eq!(missing[1..], [Duration::ZERO; 2]);
        // A policy that lacks the unit for a moment does not reset the unit's limit either.
        StoredLimits::open(&path, &Policy::default()).unwrap();
        let (_, missing) = StoredLimits::open(&path, &again).unwrap();
        assert!(missing[0].as_millis() > 28_000, "{missing:?}");
    }

    #[test]
    fn rule_41_a_file_that_was_spoilt_keeps_nobody_out_for_long() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("limits");
        std::fs::write(
            &path,
            "99999999999999999999 a.service\nx\n\0\n18446744073709551615 b.service",
        )
        .unwrap();
        let (_, missing) = StoredLimits::open(&path, &policy(&["a.service", "b.service"])).unwrap();
        assert_eq!(missing, [Duration::ZERO, Limit::DEFAULT.refill()]);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(directory.path().join("target")).unwrap();
        std::os::unix::fs::symlink("target", &path).unwrap();
        StoredLimits::open(&path, &policy(&["a.service"])).unwrap();
        assert!(std::fs::symlink_metadata(&path).unwrap().is_file());
    }
}
