//! What root finds out about the host before the plan is made. It reads systemd's answers and names of files; nothing of
//! the apps' user is opened.

use std::path::{Path, PathBuf};

use super::Owner;
use super::commands::Program;

/// The directory that nginx takes its sites from, on Debian.
const SITES: &str = "/etc/nginx/sites-enabled";

/// Gives the program of Debian's gunicorn, if it is installed.
#[must_use]
pub(crate) fn gunicorn() -> Option<PathBuf> {
    let program = Path::new("/usr/bin/gunicorn");
    program.exists().then(|| program.to_owned())
}

/// Whether nginx is installed as Debian has it.
#[must_use]
pub(crate) fn has_nginx() -> bool {
    Program::Nginx.is_there() && Path::new(SITES).is_dir()
}

/// Gives the units that the policy lets the owner restart already, as `pp-restarter --check` prints it.
#[must_use]
pub(crate) fn allowed(owner: &Owner) -> Vec<String> {
    let (_, policy) = Program::Restarter.run(&["--check"]);
    granted(&policy, owner)
}

/// Reads lines such as `group hosted_apps (gid 998) may restart gunicorn.todo.service, 3 times at once …`.
fn granted(policy: &str, owner: &Owner) -> Vec<String> {
    let by_user = format!("user {} ", owner.user);
    let by_group = format!("group {} ", owner.group);
    let units = policy.lines().filter_map(|line| {
        let (who, what) = line.split_once(" may restart ")?;
        let meant = who.starts_with(&by_user) || who.starts_with(&by_group);
        let unit = what.split(',').next().filter(|_| meant)?;
        Some(unit.to_owned())
    });
    units.collect()
}

/// Gives a line about each of `units` that systemd does not know and setup does not make.
#[must_use]
pub(crate) fn missing_units(units: &[String], made: &[String]) -> Vec<String> {
    let state = |unit: &str| {
        let (_, said) = Program::Systemctl.run(&["show", "-p", "LoadState", "--value", unit]);
        said
    };
    let missing = |unit: &&String| !made.contains(unit) && state(unit) == "not-found";
    units.iter().filter(missing).cloned().collect()
}

/// Has systemd do `verb` to the service `unit`, such as `reload`, if the service runs. Gives whether it runs.
///
/// # Errors
/// systemctl(1) failed.
pub(crate) fn if_active(unit: &str, verb: &str) -> Result<bool, String> {
    let (active, _) = Program::Systemctl.run(&["is-active", "--quiet", unit]);
    if active {
        Program::Systemctl.must(&[verb, unit])?;
    }
    Ok(active)
}

/// Lets the service that polls read its configuration again. Gives whether the service runs.
///
/// # Errors
/// systemctl(1) failed.
pub(crate) fn tell_service(service: &str, drop_in: bool) -> Result<bool, String> {
    // A sandbox gets another path only when it is made.
    if_active(service, if drop_in { "restart" } else { "reload" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_read_as_the_restarter_prints_it() {
        let owner = Owner {
            user: "gunicorn".into(),
            group: "hosted_apps".into(),
            own: false,
        };
        let policy = "group hosted_apps (gid 998) may restart a.service, 3 times at once and once more every 15 s\n\
                      group hosted_apps (gid 998) may reload b.service, 3 times at once and once more every 15 s\n\
                      user gunicorn2 (uid 7) may restart c.service, 3 times at once and once more every 15 s\n\
                      user gunicorn (uid 6) may restart d.service, 3 times at once and once more every 15 s\n\
                      restart: also starts the unit where it is stopped\n";
        assert_eq!(granted(policy, &owner), ["a.service", "d.service"]);
    }
}
