//! Reads the policy's files. They are opened in a way that ensures that nobody but root can have written them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use pp_trusted::{Directory, Refused, Trust};

use super::names::Names;
use super::parse::{self, Problem};
use super::{Policy, Unit, Who};

/// The directory of the service's policy files.
pub const DIRECTORY: &str = "/etc/pp-restarter/policy.d";

/// The directory of passwd(5) and subuid(5).
pub const ACCOUNTS: &str = "/etc";

/// Largest policy file, in bytes.
pub const MAX_FILE: u64 = 64 * 1024;

/// Largest passwd(5) or subuid(5) that is read, in bytes: room for a hundred thousand lines.
const MAX_ACCOUNTS: u64 = 8 * 1024 * 1024;

/// A loaded policy, and what is wrong or odd about its files.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The policy that the valid files make up.
    pub policy: Policy,
    /// The first mistake of each file that has one. Such a file is left out whole; the other files hold.
    pub left_out: Vec<Problem>,
    /// Sentences for the administrator to read.
    pub warnings: Vec<String>,
}

/// The directories that are read, and the owner that they and their files must have.
#[derive(Debug, Clone)]
pub struct PolicyDirectories {
    /// The owner that the files must have.
    pub trust: Trust,
    /// The directory of policy files.
    pub policy: PathBuf,
    /// The directory of passwd(5) and subuid(5).
    pub accounts: PathBuf,
}

impl PolicyDirectories {
    /// Returns the host's places, which must belong to root, with the policy in `directory`.
    #[must_use]
    pub fn with_policy(directory: &Path) -> Self {
        Self {
            trust: Trust::default(),
            policy: directory.to_owned(),
            accounts: ACCOUNTS.into(),
        }
    }
}

/// Loads the policy: reads every file `[a-z0-9_-]+.toml` of the policy's directory, in the order of the names,
/// and the host's passwd(5) and subuid(5). If the policy's directory does not exist, nothing is allowed.
///
/// # Errors
/// [`Refused`]: a directory, passwd(5) or subuid(5) cannot be trusted or read; nothing is allowed then.
pub fn load(places: &PolicyDirectories, names: &dyn Names) -> Result<Loaded, Refused> {
    let mut loaded = Loaded::default();
    let shown = places.policy.display();
    let Some(directory) = Directory::open(&places.trust, &places.policy)? else {
        let warning = format!("{shown} does not exist: nobody may do anything");
        loaded.warnings.push(warning);
        return Ok(loaded);
    };
    for name in directory.names()? {
        let path = places.policy.join(&name);
        let stem = name.strip_suffix(".toml").unwrap_or("");
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
        if stem.is_empty() || !stem.bytes().all(good) {
            let warning = format!(
                "{path:?} is NOT read: a policy file is named like todo.toml, of a-z 0-9 _ - and ending in .toml"
            );
            loaded.warnings.push(warning);
            continue;
        }
        // A file counts whole or not at all: entries before its mistake must not count either, so the file is
        // added to a copy of the policy.
        let mut with = loaded.policy.clone();
        let added = read(&directory, &name, &path)
            .and_then(|text| parse::add(&mut with, &path, &text, names));
        match added {
            Ok(()) => loaded.policy = with,
            Err(problem) => loaded.left_out.push(problem),
        }
    }
    if loaded.policy.units.iter().all(Unit::is_nobodys) {
        let warning = format!("{shown} allows nothing: nobody may do anything");
        loaded.warnings.push(warning);
    }
    accounts(places, &mut loaded)?;
    Ok(loaded)
}

fn accounts(places: &PolicyDirectories, loaded: &mut Loaded) -> Result<(), Refused> {
    let Some(directory) = Directory::open(&places.trust, &places.accounts)? else {
        return Ok(());
    };
    let read = |name: &str| {
        let bytes = directory.read(OsStr::new(name), MAX_ACCOUNTS)?;
        Ok(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
    };
    let people = &mut loaded.policy.people;
    people.read_subordinate(&read("subuid")?);
    let grants = loaded.policy.units.iter().flat_map(|unit| &unit.grants);
    let groups: Vec<_> = grants
        .filter_map(|(_, who)| match who {
            Who::Group(gid) => Some(*gid),
            Who::User(_) => None,
        })
        .collect();
    let odd = people.read_users(&read("passwd")?, &groups);
    loaded.warnings.extend(odd);
    Ok(())
}

fn read(directory: &Directory, name: &str, path: &Path) -> Result<String, Problem> {
    let gone = || Problem::of(path, "is gone", "look again");
    let bytes = directory
        .read(OsStr::new(name), MAX_FILE)?
        .ok_or_else(gone)?;
    String::from_utf8(bytes)
        .map_err(|_| Problem::of(path, "cannot be read", "it must be UTF-8 text"))
}

#[cfg(test)]
mod tests;
