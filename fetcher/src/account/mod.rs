//! Finds out which user the apps belong to, and becomes that user.
//!
//! Root trusts nothing that belongs to the apps' user: that user can replace the configuration of ssh, state,
//! logs and releases by a link, a FIFO or a program. So root opens none of them: pp-fetcher, run as root,
//! starts itself again, and the new process becomes the user before anything else ([`become_user`]). The
//! process that stays root ([`keep`]) passes signals on and ends with the other process's exit code.
//!
//! The only work that root does itself, writing a host key below /etc, is in `pin_as_root` of [`crate::cli`].

pub(crate) mod become_user;
pub(crate) mod keep;

use std::ffi::{CString, OsString};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, User, geteuid, getgrouplist};
use thiserror::Error;

use crate::{config, state};

/// The first argument of a process that root has started to become another user. It is for pp-fetcher itself
/// only.
pub(crate) const WORD: &str = "--become-user";

/// The directory of the users with a configuration of their own: each has a directory here, named after the
/// user.
pub(crate) const USERS: &str = "/etc/pp-fetcher/users";

/// The directory of the state of such users' apps: each has a directory here, named after the user.
pub(crate) const USERS_STATE: &str = "/var/lib/pp-fetcher-users";

/// The user that the apps belong to, unless `--user` or the owner of the state's directory says otherwise.
pub(crate) const USUAL: &str = "gunicorn";

/// A user that apps belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// The login name.
    pub name: String,
    /// The user id; never root's.
    pub uid: Uid,
    /// The group that the user's new files belong to.
    pub gid: Gid,
    /// The user's home directory.
    pub home: PathBuf,
}

/// Why it cannot be found out which user the apps belong to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum NoAccount {
    /// There is no such user.
    #[error(
        "there is no user {0} on this host, whom the apps could belong to\n  \
         install the package again, which makes gunicorn, or name another: pp-fetcher --user USER \u{2026}"
    )]
    Unknown(String),
    /// The apps would belong to root, which is refused.
    #[error("apps do not run as root, and neither does pp-fetcher: name their user with --user")]
    Root,
    /// Another user is named, and this process does not run as root: only root can become another user.
    #[error("only root can be {0}: sudo pp-fetcher --user {0} \u{2026}, or log in as {0}")]
    NotRoot(String),
    /// A user without a configuration directory below [`USERS`].
    #[error(
        "{0} has no apps of its own: {USERS}/{0} is not there\n  \
         as root: install -d -m 0755 {USERS}/{0} {USERS}/{0}/apps.d && install -d -m 0750 -o {0} -g $(id -gn {0}) {USERS_STATE}/{0}"
    )]
    NoApps(String),
    /// The user database does not answer.
    #[error("user {name} cannot be looked up: {why}")]
    Database {
        /// The name or number of the user.
        name: String,
        /// The error of the lookup.
        why: nix::errno::Errno,
    },
}

/// The directories of a user's configuration and state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserDirectories {
    /// The directory of the configuration.
    pub config: PathBuf,
    /// The directory of the state of all apps.
    pub state: PathBuf,
}

impl UserDirectories {
    /// Gives the directories of `user`: the user's own if there is a directory of that name in [`USERS`],
    /// otherwise those of the host.
    #[must_use]
    pub(crate) fn of(user: Option<&str>) -> Self {
        let own = user.map(|name| (Path::new(USERS).join(name), name));
        match own.filter(|(directory, _)| directory.is_dir()) {
            Some((config, name)) => Self {
                config,
                state: Path::new(USERS_STATE).join(name),
            },
            None => Self {
                config: config::DIRECTORY.into(),
                state: state::store::DIRECTORY.into(),
            },
        }
    }
}

/// Gives the name of the user that this process runs as.
#[must_use]
pub(crate) fn own_name() -> Option<String> {
    let user = User::from_uid(geteuid()).ok()??;
    Some(user.name)
}

/// Gives the groups that the user database has for `user`; none if the database does not answer.
pub(crate) fn groups_of(user: &User) -> Vec<Gid> {
    let name = CString::new(user.name.as_str()).ok();
    let groups = name.and_then(|name| getgrouplist(&name, user.gid).ok());
    groups.unwrap_or_default()
}

/// Finds the user that root has to become for apps whose state is in `state`: the user `named`, or else the
/// owner of that directory, or else gunicorn.
///
/// # Errors
/// [`NoAccount`].
pub(crate) fn of_the_apps(named: Option<&str>, state: &Path) -> Result<Account, NoAccount> {
    // Only its metadata is read, it is not opened; a symbolic link that root has made to another disk is
    // followed.
    let found = std::fs::metadata(state).ok();
    let directory = found.filter(|found| found.is_dir() && found.uid() != 0);
    let owner = directory.as_ref().map(|found| Uid::from_raw(found.uid()));
    let user = match (named, owner) {
        (None, Some(owner)) => {
            let name = owner.to_string();
            let found = User::from_uid(owner).map_err(|why| NoAccount::Database {
                name: name.clone(),
                why,
            })?;
            found.ok_or(NoAccount::Unknown(name))?
        }
        (named, _) => of_name(named.unwrap_or(USUAL))?,
    };
    if user.uid.is_root() {
        return Err(NoAccount::Root);
    }
    // The group of the state's directory, if the user is a member of it: the service runs with that group.
    let group = directory.map(|found| Gid::from_raw(found.gid()));
    let groups = groups_of(&user);
    Ok(Account {
        gid: group.filter(|gid| groups.contains(gid)).unwrap_or(user.gid),
        name: user.name,
        uid: user.uid,
        home: user.dir,
    })
}

/// Finds the user `name`, whether the user has apps already or not, for a new app.
///
/// # Errors
/// [`NoAccount`].
pub(crate) fn for_new_app(named: Option<&str>) -> Result<(Account, bool), NoAccount> {
    let usual = Path::new(state::store::DIRECTORY);
    let shared = of_the_apps(None, usual);
    let Some(name) = named else {
        return shared.map(|account| (account, false));
    };
    if let Ok(account) = shared
        && account.name == name
    {
        return Ok((account, false));
    }
    // The directory that its state will have, for its group; it may not be there yet.
    let account = of_the_apps(Some(name), &Path::new(USERS_STATE).join(name))?;
    Ok((account, true))
}

fn of_name(name: &str) -> Result<User, NoAccount> {
    let found = User::from_name(name).map_err(|why| NoAccount::Database {
        name: name.to_owned(),
        why,
    })?;
    found.ok_or_else(|| NoAccount::Unknown(name.to_owned()))
}

/// Checks that this process may work for the apps of the user `named`.
///
/// # Errors
/// [`NoAccount`].
pub(crate) fn check_named(named: &str) -> Result<(), NoAccount> {
    let user = of_name(named)?;
    if !geteuid().is_root() && user.uid != geteuid() {
        return Err(NoAccount::NotRoot(named.to_owned()));
    }
    let usual = named == USUAL || own_state_is_usual(user.uid);
    if !usual && !Path::new(USERS).join(named).is_dir() {
        return Err(NoAccount::NoApps(named.to_owned()));
    }
    Ok(())
}

/// Whether the host's own apps, those in the usual state directory, belong to the user `uid`.
fn own_state_is_usual(uid: Uid) -> bool {
    let found = std::fs::metadata(state::store::DIRECTORY).ok();
    found.is_some_and(|found| found.uid() == uid.as_raw())
}

/// Gives the arguments of the process that becomes `account` and then continues with `arguments`.
#[must_use]
pub(crate) fn arguments(
    account: &Account,
    arguments: impl Iterator<Item = OsString>,
) -> Vec<OsString> {
    let first = [
        WORD.to_owned(),
        account.name.clone(),
        account.gid.to_string(),
        std::process::id().to_string(),
    ];
    first
        .into_iter()
        .map(OsString::from)
        .chain(arguments)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_35_root_is_never_whom_apps_belong_to() {
        assert_eq!(
            of_the_apps(Some("root"), Path::new("/")),
            Err(NoAccount::Root)
        );
        let nobody = of_the_apps(Some("nosuchuser"), Path::new("/nowhere"));
        assert_eq!(nobody, Err(NoAccount::Unknown("nosuchuser".into())));
    }

    #[test]
    fn whom_the_state_belongs_to_is_meant() {
        if !geteuid().is_root() {
            println!("SKIPPED: the directory of another user needs root");
            return;
        }
        let state = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(state.path(), Some(1), Some(0)).unwrap();
        let found = of_the_apps(None, state.path()).unwrap();
        assert_eq!((found.name.as_str(), found.uid.as_raw()), ("daemon", 1));
        assert_eq!(
            found.gid.as_raw(),
            1,
            "not root's group, in which it is not"
        );
    }
}
