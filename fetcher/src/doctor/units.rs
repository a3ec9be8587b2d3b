//! The units: what the restarter's policy and systemd's own view do not show.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Finding;
use super::reach::Person;
use crate::config::App;
use crate::health::Host;
use crate::health::unit::UnitSeen;
use crate::health::url::Target;
use crate::process::env_file;

/// The directories in which an administrator's drop-ins are: systemd.unit(5).
const DROP_INS: &str = "/etc/systemd/system";

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
    unread_drop_ins(Path::new(DROP_INS), "pp-fetcher.service", tell);
    if let Some(Target::Unix(socket)) = app.health.url.as_ref().map(|url| &url.to) {
        web_server(socket, Person::named(WEB_SERVER), tell);
    }
}

/// Finds files beside the drop-ins of `unit` that systemd does not read.
fn unread_drop_ins(below: &Path, unit: &str, tell: &mut dyn FnMut(Finding)) {
    let directory = below.join(format!("{unit}.d"));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|ending| ending != "conf") {
            let shown = path.display();
            tell(Finding::warning(
                LINK,
                format!(
                    "systemd does not read {shown}: the name of a drop-in ends in .conf\n  as root: mv {shown} \
                     {shown}.conf && systemctl daemon-reload"
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
    // The path with a name below it, so that the directory itself is entered, too.
    if let Some(shut) = user
        .shut_out_at(&directory.join("x"))
        .filter(|_| directory.is_absolute())
    {
        let shown = shut.display();
        tell(Finding::fault(
            LINK,
            format!(
                "{} works in {} as {}, which cannot enter {shown}\n  as root: chmod o+x {shown}, or put {} into its \
                 group",
                seen.name,
                directory.display(),
                user.name,
                user.name
            ),
        ));
    }
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
    let has = |name: &str| app.deploy.env.contains_key(name) || read.contains_key(name);
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
    let finding = match user.shut_out_at(socket) {
        Some(shut) => Finding::warning(
            LINK,
            format!(
                "{name}, the user of nginx, cannot enter {0} on the way to {shown}\n  as root: chmod o+x {0}",
                shut.display()
            ),
        ),
        None if !user.may_write(socket) => Finding::warning(
            LINK,
            format!(
                "{name}, the user of nginx, cannot connect to {shown}\n  SocketMode=0666 in the socket unit, or \
                 SocketGroup={name} with SocketMode=0660"
            ),
        ),
        None => Finding::ok(LINK, format!("{name} can connect to {shown}")),
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
        fs::write(directory.join("good.conf"), "").unwrap();
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
