//! The environment of a script: clean, and the same from cron, a terminal or the service.

use std::collections::BTreeMap;
use std::ffi::OsString;

use nix::unistd::{User, geteuid};

/// The `PATH` of scripts: Debian's own default for a login.
pub(crate) const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// Gives the search path of programs that pp-fetcher itself needs, such as ssh: its own, and then the usual directories. A
/// table of cron may set another PATH.
#[must_use]
pub(crate) fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    if !path.is_empty() {
        path.push(":");
    }
    path.push(PATH);
    path
}

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
