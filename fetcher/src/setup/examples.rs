//! Units and the nginx site of an app, made from the examples that the packages ship: what is tried there is what an
//! app gets, and there is one place to change it.

use super::wanted::{Listen, Wanted};
use super::{Gunicorn, mark};

macro_rules! example {
    ($path:literal) => {
        include_str!(concat!("../../../packaging/examples/todo_django/", $path))
    };
}

const SERVICE: &str = example!("systemd/gunicorn.todo_django.service");
const SERVICE_OF_SOCKET: &str = example!("systemd-socket/gunicorn.todo_django.service");
const SOCKET: &str = example!("systemd-socket/gunicorn.todo_django.socket");
const SITE: &str = example!("nginx/todo_django.conf");

/// The name of the app in the examples.
const NAME: &str = "todo_django";

/// What stands in the examples for what an app has of its own, in the order in which it is replaced: the longer text
/// before one that is a part of it.
const ROOT: &str = "/var/www/projects/todo_django";
const STATIC: &str = "/www/static/todo_django";
const SOCKET_PATH: &str = "/run/gunicorn/todo_django.sock";

/// Gives the text of the service unit of the app's gunicorn, which listens at `listen`.
#[must_use]
pub(crate) fn service(wanted: &Wanted, gunicorn: &Gunicorn, listen: Listen) -> String {
    let example = match listen {
        Listen::Port(_) => SERVICE,
        Listen::Socket => SERVICE_OF_SOCKET,
    };
    let mut text = fill(example, wanted)
        .replace("todo.wsgi", &gunicorn.module)
        .replace("/usr/bin/gunicorn", &gunicorn.program.to_string_lossy());
    let files: String = wanted
        .env_files
        .iter()
        .map(|file| format!("EnvironmentFile={file}\n"))
        .collect();
    if !files.is_empty() {
        text = text.replace("UMask=", &format!("{files}UMask="));
    }
    if wanted.owner.own {
        // The files of such a user are shared with no group.
        text = text.replace("UMask=0002", "UMask=0027");
    }
    text
}

/// Gives the text of the socket unit for [`service`] with [`Listen::Socket`].
#[must_use]
pub(crate) fn socket(wanted: &Wanted) -> String {
    let text = fill(SOCKET, wanted);
    without(&text, "# Or by TCP", 2)
}

/// Gives the text of the nginx site of the app, which is reached at `listen` and has the server name `name`.
#[must_use]
pub(crate) fn site(wanted: &Wanted, name: &str, listen: Listen) -> String {
    let mut text = without(SITE, "\t# With the socket", 2);
    if let Listen::Socket = listen {
        let server = format!("server unix:{}", wanted.socket().display());
        text = text.replace("server 127.0.0.1:8000", &server);
    }
    text = match &wanted.static_root {
        Some(_) => text,
        None => without(&text, "\t# collectstatic", 4),
    };
    fill(&text, wanted).replace("todo.example.org", name)
}

/// Puts the app's own names into an example, in place of the instructions at its head.
fn fill(example: &str, wanted: &Wanted) -> String {
    let unit = example.find("[Unit]").and_then(|at| example.get(at..));
    let body = unit.or_else(|| Some(example.split_once("\n\n")?.1));
    let body = body.unwrap_or(example);
    let port = match wanted.listen {
        Some(Listen::Port(port)) => format!("127.0.0.1:{port}"),
        _ => "127.0.0.1:8000".to_owned(),
    };
    let statics = wanted.static_root.as_deref().unwrap_or(&wanted.root);
    let owner = &wanted.owner;
    let name = wanted.host_wide_name();
    let replaced = [
        (ROOT, wanted.root.to_string_lossy().into_owned()),
        (STATIC, statics.to_string_lossy().into_owned()),
        (SOCKET_PATH, wanted.socket().to_string_lossy().into_owned()),
        ("User=gunicorn", format!("User={}", owner.user)),
        ("# gunicorn's", format!("# {}'s", owner.user)),
        ("Group=hosted_apps", format!("Group={}", owner.group)),
        ("127.0.0.1:8000", port),
        (NAME, name),
    ];
    let mut text = format!("{}\n{body}", mark(&wanted.app));
    // By a mark that no text has: what was put in is not looked at again.
    for (at, (from, _)) in replaced.iter().enumerate() {
        text = text.replace(from, &format!("\u{1}{at}\u{1}"));
    }
    for (at, (_, to)) in replaced.iter().enumerate() {
        text = text.replace(&format!("\u{1}{at}\u{1}"), to);
    }
    text
}

/// Leaves out `lines` lines from the line on that begins so.
fn without(text: &str, beginning: &str, lines: usize) -> String {
    let mut left = 0;
    let kept = text.lines().filter(|line| {
        if line.starts_with(beginning) {
            left = lines;
        }
        let keep = left == 0;
        left = left.saturating_sub(1);
        keep
    });
    kept.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::wanted;
    use super::*;

    #[test]
    fn a_unit_has_what_is_the_apps_own_and_no_instructions() {
        let wanted = wanted();
        let gunicorn = wanted.gunicorn.clone().unwrap();
        let unit = service(&wanted, &gunicorn, Listen::Port(8017));
        for line in [
            "WorkingDirectory=/var/www/projects/todo/current",
            "User=gunicorn",
            "Group=hosted_apps",
            "ExecStart=/usr/bin/gunicorn --bind 127.0.0.1:8017 --workers 2 shop.wsgi",
        ] {
            assert!(unit.lines().any(|found| found == line), "{line}:\n{unit}");
        }
        assert!(
            !unit.contains("todo_django") && !unit.contains("Copy"),
            "{unit}"
        );
        assert_eq!(unit.lines().nth(1), Some("[Unit]"));
    }

    #[test]
    fn a_pair_of_a_user_of_its_own_is_that_users_and_shares_its_files_of_variables() {
        let mut wanted = wanted();
        wanted.owner.own = true;
        wanted.owner.user = "ada".into();
        wanted.owner.group = "ada".into();
        wanted.listen = Some(Listen::Socket);
        wanted.env_files = vec!["-/etc/todo/env".into()];
        let gunicorn = wanted.gunicorn.clone().unwrap();
        let unit = service(&wanted, &gunicorn, Listen::Socket);
        assert!(
            unit.contains("\nEnvironmentFile=-/etc/todo/env\nUMask=0027\n"),
            "{unit}"
        );
        assert!(unit.contains("Requires=gunicorn.ada-todo.socket"), "{unit}");
        let socket = socket(&wanted);
        assert!(
            socket.contains("ListenStream=/run/gunicorn/ada-todo.sock\n# ada's, so that"),
            "{socket}"
        );
        assert!(socket.contains("\nSocketUser=ada\n"), "{socket}");
        assert!(!socket.contains("8000"), "{socket}");
    }

    #[test]
    fn a_site_leads_to_where_the_app_answers() {
        let mut wanted = wanted();
        let text = site(&wanted, "shop.example.com", Listen::Port(8017));
        assert!(text.contains("server 127.0.0.1:8017;\n}"), "{text}");
        assert!(text.contains("server_name shop.example.com;"), "{text}");
        assert!(text.contains("alias /www/static/todo/;"), "{text}");
        wanted.static_root = None;
        wanted.listen = Some(Listen::Socket);
        let text = site(&wanted, "shop.example.com", Listen::Socket);
        assert!(
            text.contains("server unix:/run/gunicorn/todo.sock;\n}"),
            "{text}"
        );
        assert!(
            !text.contains("static") && text.contains("location / {"),
            "{text}"
        );
    }
}
