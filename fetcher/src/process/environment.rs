//! The environment of a script: clean, and the same from cron, a terminal or the service.

use std::collections::BTreeMap;

use nix::unistd::{User, geteuid};

/// The `PATH` of scripts: Debian's own default for a login.
pub(crate) const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// Variables of a script's environment.
pub(crate) type Environment = BTreeMap<String, String>;

/// Gives the environment of every script, before its `PP_…` variables: no variable of pp-fetcher is passed on,
/// so that a deploy does not depend on who started it.
#[must_use]
pub(crate) fn clean() -> Environment {
    let mut environment = Environment::new();
    let mut set = |name: &str, value: String| environment.insert(name.to_owned(), value);
    set("PATH", PATH.to_owned());
    set("LANG", "C.UTF-8".to_owned());
    set("SHELL", "/bin/sh".to_owned());
    if let Ok(Some(user)) = User::from_uid(geteuid()) {
        set("HOME", user.dir.to_string_lossy().into_owned());
        set("USER", user.name.clone());
        set("LOGNAME", user.name);
    }
    environment
}
