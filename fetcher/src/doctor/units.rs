//! The units: what the restarter's policy and systemd's own view do not show.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pp_protocol::UnitName;

use super::Finding;
use super::reach::Person;
use crate::config::App;
use crate::health::unit::UnitSeen;
use crate::health::url::Target;
use crate::health::{Host, SystemHost};
use crate::process::{env_file, environment};
use crate::util::text;

/// The directories in which an administrator's drop-ins are: systemd.unit(5).
const DROP_INS: &str = "/etc/systemd/system";

/// Endings of files that somebody took for those of a drop-in.
const LIKE_CONF: &[&str] = &["cfg", "config", "ini", "service", "toml", "txt"];

/// The user of Debian's web servers.
const WEB_SERVER: &str = "www-data";

const LINK: &str = "units";

/// Looks at the units of `app`.
pub(super) fn look(app: &App, host: &dyn Host, tell: &mut dyn FnMut(Finding)) {
    let units: BTreeSet<_> = app.restart.iter().chain(&app.reload).collect();
    for unit in units {
        unread_drop_ins(Path::new(DROP_INS), unit.as_str(), tell);
        let Ok(seen) = host.unit(unit) else { continue };
        directory(&seen, tell);
        variables(app, &seen, tell);
    }
    if let Some(Target::Unix(socket)) = app.health.url.as_ref().map(|url| &url.to) {
        web_server(socket, Person::named(WEB_SERVER), tell);
    }
}

/// Finds files beside the drop-ins of `unit` that look like one and that systemd does not read. Copies that an editor,
/// a person or a package has put aside are meant to be left out.
fn unread_drop_ins(below: &Path, unit: &str, tell: &mut dyn FnMut(Finding)) {
    let directory = below.join(format!("{unit}.d"));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let ending = path
            .extension()
            .map(|ending| ending.to_string_lossy().into_owned());
        let looks = ending.is_none_or(|ending| LIKE_CONF.contains(&ending.as_str()));
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if looks && !hidden && !path.to_string_lossy().ends_with('~') {
            let shown = text::line(path.as_os_str().as_encoded_bytes());
            tell(Finding::warning(
                LINK,
                format!(
                    "systemd does not read {shown}: the name of a drop-in ends in .conf\n  if it is to count, as root: mv \
                     {shown} {shown}.conf && systemctl daemon-reload"
                ),
            ));
        }
    }
}

/// The unit's user has to be able to enter its working directory.
fn directory(seen: &UnitSeen, tell: &mut dyn FnMut(Finding)) {
    let setup = &seen.setup;
    let directory = PathBuf::from(setup.directory.trim_start_matches(['!', '-']));
    let Some(user) = Person::named(&setup.user) else {
        return;
    };
    let user = user.with_groups(&setup.groups);
    // The path with a name below it, so that the directory itself is entered, too.
    let shut = user.shut_out_at(&directory.join("x"));
    if let Some(shut) = shut.filter(|_| directory.is_absolute()) {
        let shown = shut.display();
        tell(Finding::warning(
            LINK,
            format!(
                "{} works in {} as {}, which cannot enter {shown} by its owner and mode\n  unless an ACL lets it in, as \
                 root: chmod o+x {shown}, or put {} into its group",
                seen.name,
                directory.display(),
                user.name,
                user.name
            ),
        ));
    }
}

/// Looks at the service that polls: a fault of it is not seen from a process of its own, however alike.
pub(super) fn service(unit: &str, tell: &mut dyn FnMut(Finding)) {
    const LINK: &str = "service";
    unread_drop_ins(Path::new(DROP_INS), unit, tell);
    let seen = UnitName::parse(unit)
        .map_err(|error| error.to_string())
        .and_then(|name| {
            let host = SystemHost::new().map_err(|error| error.to_string())?;
            host.unit(&name)
        });
    let seen = match seen {
        Ok(seen) => seen,
        Err(message) => return tell(Finding::skipped(LINK, message)),
    };
    let since = Duration::from_micros(seen.active_since);
    let newer =
        written(Path::new(DROP_INS), unit).filter(|(_, at)| *at > SystemTime::UNIX_EPOCH + since);
    let restart = format!("as root: systemctl restart {unit}");
    tell(if seen.active != "active" {
        let active = &seen.active;
        Finding::fault(
            LINK,
            format!("{unit} is {active}, so nothing polls\n  systemctl status {unit} shows why"),
        )
    } else if seen.setup.needs_daemon_reload {
        Finding::warning(
            LINK,
            format!(
                "systemd has not read what was changed of {unit}\n  as root: systemctl daemon-reload && systemctl restart {unit}"
            ),
        )
    } else if let Some((path, _)) = newer {
        let shown = text::line(path.as_os_str().as_encoded_bytes());
        Finding::warning(
            LINK,
            format!("{unit} runs since before {shown} was written, and without it\n  {restart}"),
        )
    } else {
        Finding::ok(LINK, format!("{unit} polls"))
    });
}

/// Gives the newest of an administrator's files for `unit`, and when it was written.
fn written(below: &Path, unit: &str) -> Option<(PathBuf, SystemTime)> {
    let drop_ins = fs::read_dir(below.join(format!("{unit}.d")))
        .into_iter()
        .flatten()
        .flatten();
    let drop_ins = drop_ins.map(|entry| entry.path());
    let files = drop_ins.filter(|path| path.extension().is_some_and(|ending| ending == "conf"));
    let files = files.chain([below.join(unit)]);
    let times =
        files.filter_map(|path| Some((path.clone(), path.metadata().ok()?.modified().ok()?)));
    times.max_by_key(|(_, at)| *at)
}

/// Variables that the app runs with, and its build does not: a command that loads the app's settings fails then.
fn variables(app: &App, seen: &UnitSeen, tell: &mut dyn FnMut(Finding)) {
    if app.deploy.build.is_none() {
        return;
    }
    let (setup, name) = (&seen.setup, &seen.name);
    let named = setup
        .environment
        .iter()
        .filter_map(|set| set.split_once('='));
    let files = &app.deploy.env_files;
    // A file that cannot be read is a fault of its own.
    let read = env_file::read(files).unwrap_or_default();
    let usual = environment::clean();
    let has = |name: &str| {
        let own = app.deploy.env.contains_key(name) || read.contains_key(name);
        own || usual.contains_key(name) || name.starts_with("PP_")
    };
    let missing: Vec<_> = named
        .map(|(name, _)| name)
        .filter(|name| !has(name))
        .collect();
    let mut from = Vec::new();
    if !missing.is_empty() {
        from.push(format!("Environment= ({})", missing.join(", ")));
    }
    let own = |path: &&String| files.iter().any(|file| file.path == Path::new(path));
    let others = setup.environment_files.iter().filter(|path| !own(path));
    from.extend(others.map(|path| format!("EnvironmentFile={path}")));
    if from.is_empty() {
        return;
    }
    tell(Finding::warning(
        "environment",
        format!(
            "{name} has variables that the build script does not have: {}\n  what the build needs of them goes under \
             [deploy.env], or into a file of both under `env_files`, in {}",
            from.join(", "),
            app.path.display()
        ),
    ));
}

/// nginx has to reach the socket that the app listens on.
fn web_server(socket: &Path, user: Option<Person>, tell: &mut dyn FnMut(Finding)) {
    const LINK: &str = "web server";
    let Some(user) = user else { return };
    let (name, shown) = (&user.name, socket.display());
    let finding = match (user.shut_out_at(socket), user.may_write(socket)) {
        (Some(shut), _) => Finding::warning(
            LINK,
            format!(
                "{name}, the user of nginx, cannot enter {0} on the way to {shown}\n  unless an ACL lets it in, as root: \
                 chmod o+x {0}",
                shut.display()
            ),
        ),
        (None, Some(false)) => Finding::warning(
            LINK,
            format!(
                "{name}, the user of nginx, cannot connect to {shown}\n  SocketMode=0666 in the socket unit, or \
                 SocketGroup={name} with SocketMode=0660"
            ),
        ),
        (None, Some(true)) => Finding::ok(LINK, format!("{name} can connect to {shown}")),
        (None, None) => Finding::skipped(LINK, format!("{shown} cannot be looked at")),
    };
    tell(finding);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn found(look: impl FnOnce(&mut dyn FnMut(Finding))) -> Vec<Finding> {
        let mut found = Vec::new();
        look(&mut |finding| found.push(finding));
        found
    }

    #[test]
    fn a_drop_in_with_another_ending_is_named() {
        let below = tempfile::tempdir().unwrap();
        let directory = below.path().join("todo.service.d");
        fs::create_dir(&directory).unwrap();
        for name in [
            "good.conf",
            "old.conf.bak",
            "good.conf~",
            ".good.conf.swp",
            "x.conf.dpkg-old",
        ] {
            fs::write(directory.join(name), "").unwrap();
        }
        let look =
            |tell: &mut dyn FnMut(Finding)| unread_drop_ins(below.path(), "todo.service", tell);
        assert_eq!(found(look), []);
        fs::write(directory.join("paths.cfg"), "").unwrap();
        let all = found(look);
        assert!(
            all[0].text.contains("paths.cfg") && all.len() == 1,
            "{all:?}"
        );
        assert!(all[0].remedy[0].contains("daemon-reload"), "{all:?}");
    }

    #[test]
    fn a_socket_that_the_web_server_cannot_reach_is_told() {
        let top = tempfile::tempdir().unwrap();
        let socket = top.path().join("todo.sock");
        fs::write(&socket, "").unwrap();
        let look =
            |tell: &mut dyn FnMut(Finding)| web_server(&socket, Person::named("daemon"), tell);
        let set =
            |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        for (directory, mode, text) in [
            (0o700, 0o666, "cannot enter"),
            (0o755, 0o600, "cannot connect"),
            (0o755, 0o666, "can connect"),
        ] {
            set(top.path(), directory);
            set(&socket, mode);
            let all = found(look);
            assert!(all[0].text.contains(text), "{all:?}");
        }
    }
}
