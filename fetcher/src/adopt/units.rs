//! Finds the units that run an app from its checkout, in the output of `systemctl show`. Pure.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::release::layout;

/// A service unit, as `systemctl show` has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Service {
    /// The unit's name.
    pub name: String,
    /// The unit's working directory.
    pub directory: PathBuf,
    /// The words of the unit's command.
    pub command: Vec<String>,
    /// The user that the unit runs as.
    pub user: String,
    /// Units that start this one, such as its socket.
    pub triggered_by: Vec<String>,
    /// Whether the unit runs.
    pub active: bool,
    /// The words of all of the unit's commands, and its files of variables.
    pub uses: Vec<String>,
}

/// The properties that are asked of each unit.
pub(crate) const PROPERTIES: &str = "Id,WorkingDirectory,ExecStart,ExecStartPre,ExecStartPost,ExecReload,ExecStop,EnvironmentFiles,User,TriggeredBy,ActiveState";

/// Reads the output of `systemctl show`: a block for each unit, with an empty line between two.
#[must_use]
pub(crate) fn parse(shown: &str) -> Vec<Service> {
    let blocks = shown.split("\n\n").filter(|block| !block.trim().is_empty());
    blocks.map(service).collect()
}

fn service(block: &str) -> Service {
    let mut service = Service::default();
    for line in block.lines() {
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        if name.starts_with("Exec") {
            service.uses.extend(argv(value));
        }
        match name {
            "Id" => service.name = value.to_owned(),
            "WorkingDirectory" => service.directory = value.trim_start_matches(['!', '-']).into(),
            "User" => service.user = value.to_owned(),
            "ActiveState" => service.active = matches!(value, "active" | "reloading"),
            "TriggeredBy" => {
                service.triggered_by = value.split_whitespace().map(str::to_owned).collect();
            }
            // `/etc/todo.env (ignore_errors=no)`
            "EnvironmentFiles" => {
                let file = value.split(" (").next().unwrap_or_default();
                if !file.is_empty() {
                    service.uses.push(file.to_owned());
                }
            }
            "ExecStart" if service.command.is_empty() => service.command = argv(value),
            _ => {}
        }
    }
    service
}

/// Reads `{ path=… ; argv[]=/usr/bin/gunicorn --bind … ; ignore_errors=no ; … }`.
fn argv(value: &str) -> Vec<String> {
    let words = value.split_once("argv[]=").map(|(_, rest)| rest);
    let words = words.and_then(|rest| rest.split(" ;").next());
    words
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

/// Whether the unit works in the checkout `directory`, or runs a program of it.
#[must_use]
pub(crate) fn runs_from(service: &Service, directory: &Path) -> bool {
    let program = service.command.first().map(Path::new);
    service.directory.starts_with(directory)
        || program.is_some_and(|program| program.starts_with(directory))
}

/// Gives what the unit uses of the checkout `directory` besides working in it: programs, options, files of variables.
/// Relative to the checkout; of what is in its releases or in `shared/` nothing.
#[must_use]
pub(crate) fn used_of(service: &Service, directory: &Path) -> BTreeSet<PathBuf> {
    let named = format!("{}/", directory.display());
    let mut used = BTreeSet::new();
    for word in &service.uses {
        for (at, _) in word.match_indices(&named) {
            let before = word.get(..at).and_then(|text| text.chars().next_back());
            if before.is_some_and(|c| c.is_alphanumeric() || "/._-".contains(c)) {
                continue;
            }
            let rest = word.get(at + named.len()..).unwrap_or_default();
            let path = rest.split([':', ',', ';', '\'', '"']).next();
            used.extend(path.map(|path| PathBuf::from(path.trim_matches('/'))));
        }
    }
    used.retain(|path| {
        let top = path.components().next().map(|top| top.as_os_str());
        top.is_some_and(|top| layout::MADE_IN_ROOT.iter().all(|ours| top != *ours))
    });
    used
}

/// Gives where below the checkout `directory` the unit works; nothing if it works at its top, or elsewhere.
#[must_use]
pub(crate) fn below(service: &Service, directory: &Path) -> PathBuf {
    let below = service.directory.strip_prefix(directory);
    below.map(PathBuf::from).unwrap_or_default()
}

/// Gives the address that a gunicorn, uvicorn or another server is told to listen at: `127.0.0.1:8000`, `unix:/path`.
#[must_use]
pub(crate) fn bound_to(command: &[String]) -> Option<String> {
    let mut words = command.iter();
    while let Some(word) = words.next() {
        for option in ["--bind", "-b", "--listen"] {
            if word == option {
                return words.next().cloned();
            }
            if let Some(value) = word.strip_prefix(&format!("{option}=")) {
                return Some(value.to_owned());
            }
        }
    }
    None
}

/// Gives the URL at which a probe reaches the address `bound`, as [`bound_to`] or `Listen=` of a socket unit has it.
#[must_use]
pub(crate) fn url(bound: &str) -> Option<String> {
    let bound = bound.split(" (").next().unwrap_or(bound);
    let path = bound.strip_prefix("unix:").unwrap_or(bound);
    if path.starts_with('/') {
        return Some(format!("unix:{path}:/"));
    }
    let (host, port) = bound.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let host = match host {
        "" | "0.0.0.0" | "*" | "localhost" | "[::]" => "127.0.0.1",
        host => host,
    };
    Some(format!("http://{host}:{port}/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: &str = "ExecStart={ path=/usr/bin/gunicorn ; argv[]=/usr/bin/gunicorn --bind 127.0.0.1:8000 --workers 2 todo.wsgi ; ignore_errors=no ; start_time=[n/a] }\nWorkingDirectory=/var/www/projects/todo\nUser=gunicorn\nId=gunicorn.todo.service\nTriggeredBy=gunicorn.todo.socket\nActiveState=active\n\nWorkingDirectory=!/root\nId=other.service\nActiveState=inactive\n";

    #[test]
    fn the_units_of_a_checkout_are_found() {
        let all = parse(SHOWN);
        assert_eq!(all.len(), 2);
        let here = Path::new("/var/www/projects/todo");
        let found: Vec<_> = all.iter().filter(|unit| runs_from(unit, here)).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "gunicorn.todo.service");
        assert_eq!(found[0].triggered_by, ["gunicorn.todo.socket"]);
        assert!(found[0].active);
        assert!(!runs_from(found[0], Path::new("/var/www/projects/to")));
    }

    #[test]
    fn what_a_unit_uses_of_its_checkout_is_found() {
        let shown = "Id=a.service\nWorkingDirectory=/srv/todo/src\nExecStart={ path=/srv/todo/venv/bin/gunicorn ; argv[]=/srv/todo/venv/bin/gunicorn --config=/srv/todo/conf.py --chdir /srv/todo/current x ; ignore_errors=no }\nExecStartPre={ path=/bin/true ; argv[]=/bin/true /old/srv/todo/x /srv/todo2/x ; }\nEnvironmentFiles=/srv/todo/.env (ignore_errors=yes)\n";
        let service = &parse(shown)[0];
        let here = Path::new("/srv/todo");
        let used: Vec<_> = used_of(service, here).into_iter().collect();
        assert_eq!(
            used,
            [".env", "conf.py", "venv/bin/gunicorn"].map(PathBuf::from)
        );
        assert_eq!(below(service, here), PathBuf::from("src"));
        assert_eq!(below(service, Path::new("/srv")), PathBuf::from("todo/src"));
        assert_eq!(below(service, Path::new("/opt")), PathBuf::new());
    }

    #[test]
    fn where_it_answers_is_read_from_its_command() {
        let command = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let bound = |text: &str| bound_to(&command(text)).and_then(|bound| url(&bound));
        assert_eq!(
            bound("gunicorn -b :8001 x"),
            Some("http://127.0.0.1:8001/".into())
        );
        assert_eq!(
            bound("gunicorn --bind=localhost:80 x"),
            Some("http://127.0.0.1:80/".into())
        );
        assert_eq!(
            bound("gunicorn --bind unix:/run/x.sock x"),
            Some("unix:/run/x.sock:/".into())
        );
        assert_eq!(bound("gunicorn x"), None);
        assert_eq!(
            url("/run/x.sock (Stream)"),
            Some("unix:/run/x.sock:/".into())
        );
        assert_eq!(
            url("127.0.0.1:8000 (Stream)"),
            Some("http://127.0.0.1:8000/".into())
        );
    }
}
