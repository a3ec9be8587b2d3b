//! The settings of `[[submodule]]`: where the files of a submodule are fetched from, and with which key.
//!
//! The address comes from the administrator. The address in `.gitmodules` is written by anybody who can push to
//! the repository, and must not decide which server this host asks with which key (rule 27 in RULES.md).

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::fragment::{self, Https};
use super::https;
use super::path::stays_below;
use super::ssh::Ssh;
use crate::git::{HttpsOptions, RepositoryUrl};

/// Most submodules of one app: each one takes a connection of its own when it changes.
const MOST: usize = 32;

/// Prefix of the names under which the mirror pins the commits of submodules.
const PIN: &str = "submodule-";

/// Longest path of a submodule, in bytes: written in hexadecimal, the path is part of a file name in the
/// mirror.
const LONGEST_PATH: usize = 100;

/// A submodule that is fetched and deployed with its app.
#[derive(Debug, Clone)]
pub(crate) struct Submodule {
    /// The path of the submodule in the app's repository.
    pub path: PathBuf,
    /// The address of the submodule's own repository.
    pub repository: RepositoryUrl,
    /// How ssh is called for the submodule's repository.
    pub ssh: Ssh,
    /// How the submodule's repository is reached by https.
    pub https: HttpsOptions,
}

impl Submodule {
    /// Gives the name under which the mirror pins the submodule's commit. The path is written in hexadecimal,
    /// so the name has letters, digits and `-` only, whatever characters the path has.
    #[must_use]
    pub(crate) fn pin(&self) -> String {
        let path = self.path.as_os_str().as_bytes();
        let hex = path.iter().map(|byte| format!("{byte:02x}"));
        std::iter::once(PIN.to_owned()).chain(hex).collect()
    }
}

/// Checks what is written: the submodules that are fetched, outer ones before those inside them,
/// and the paths of those whose directory stays empty.
///
/// # Errors
/// What is wrong, with the key's name.
pub(super) fn submodules(
    written: Vec<fragment::Submodule>,
    app: &Ssh,
    common: &Https,
) -> Result<(Vec<Submodule>, BTreeSet<PathBuf>), String> {
    if written.len() > MOST {
        return Err(format!("there are more than {MOST} `[[submodule]]`"));
    }
    let mut all = Vec::<Submodule>::with_capacity(written.len());
    let mut empty = BTreeSet::new();
    for submodule in written {
        let path = checked_path(&submodule.path)?;
        if all.iter().any(|other| other.path == path) || empty.contains(&path) {
            let shown = submodule.path.display();
            return Err(format!("`submodule.path`: `{shown}` is there twice"));
        }
        match fetched(submodule, path, app, common)? {
            Fetched::Yes(submodule) => all.push(*submodule),
            Fetched::StaysEmpty(path) => {
                empty.insert(path);
            }
        }
    }
    all.sort_by_key(|submodule| depth(&submodule.path));
    Ok((all, empty))
}

fn checked_path(path: &Path) -> Result<PathBuf, String> {
    let shown = path.display();
    if path.as_os_str().is_empty() || !stays_below(path) {
        return Err(format!(
            "`submodule.path`: `{shown}` is not a path inside the repository"
        ));
    }
    if path.as_os_str().len() > LONGEST_PATH {
        return Err(format!(
            "`submodule.path`: `{shown}` is longer than {LONGEST_PATH} bytes"
        ));
    }
    // `libs//theme/` and `libs/theme` are one place.
    Ok(path.components().collect())
}

/// Whether a submodule is fetched.
enum Fetched {
    Yes(Box<Submodule>),
    StaysEmpty(PathBuf),
}

fn fetched(
    written: fragment::Submodule,
    path: PathBuf,
    app: &Ssh,
    common: &Https,
) -> Result<Fetched, String> {
    let shown = written.path.display();
    let repository = match (written.repository, written.empty) {
        (Some(repository), false) => repository,
        (None, true) => return Ok(Fetched::StaysEmpty(path)),
        (Some(_), true) => {
            return Err(format!(
                "the submodule `{shown}` has a `repository` and is `empty`: nothing is fetched for \
                 one that is empty, so take one of the two out"
            ));
        }
        (None, false) => {
            return Err(format!(
                "`submodule.repository` of `{shown}` is missing: write where it comes from, or \
                 empty = true if the app does without it"
            ));
        }
    };
    let repository = RepositoryUrl::parse(&repository)
        .map_err(|why| format!("`submodule.repository` of `{shown}`: {why}"))?;
    let https = https::options(Https {
        ca_file: written.https.ca_file.or_else(|| common.ca_file.clone()),
        proxy: written.https.proxy.or_else(|| common.proxy.clone()),
        ..written.https
    })
    .map_err(|why| format!("{why} (of the submodule `{shown}`)"))?;
    Ok(Fetched::Yes(Box::new(Submodule {
        path,
        repository,
        ssh: Ssh::from(written.ssh).over(app),
        https,
    })))
}

fn depth(path: &Path) -> usize {
    path.components().count()
}
