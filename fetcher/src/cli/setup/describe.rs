//! From the words of the command line, and the answers of a person, to the complete description of an app.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use super::args::Setup;
use crate::cli::output::print_prompt;
use crate::config::is_app_name;
use crate::git::RepositoryUrl;
use crate::setup::wanted::KNOWN_HOSTS;
use crate::setup::{Gunicorn, Listen, Owner, Wanted, apply, host};
use crate::util::text;

/// The file of host aliases that the packages' example uses.
const SSH_CONFIG: &str = "/etc/pp-fetcher/ssh_config";

/// What the host has, as far as the description depends on it.
#[derive(Debug, Default)]
pub(super) struct HostHas {
    /// The program of Debian's gunicorn.
    gunicorn: Option<PathBuf>,
    /// The text of [`SSH_CONFIG`].
    ssh_config: Option<String>,
}

impl HostHas {
    /// Looks at this host.
    ///
    /// # Errors
    /// Others than root can write the file of aliases.
    pub(super) fn look() -> Result<Self, String> {
        Ok(Self {
            gunicorn: host::gunicorn(),
            ssh_config: apply::read(Path::new(SSH_CONFIG))?,
        })
    }
}

/// Asks a person on the terminal for what the command line does not say.
pub(super) fn ask(options: &mut Setup) {
    if options.repository.is_some() {
        return;
    }
    let ask = |question: &str, example: &str| {
        print_prompt(&format!("{question} ({example}): "));
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        let line = line.trim().to_owned();
        read.is_ok().then_some(line).filter(|line| !line.is_empty())
    };
    options.repository = ask("Git repository", "git@github.com:me/todo.git");
    if options.branch.is_none() && options.tag.is_none() {
        options.branch = ask("Branch", "main, if left empty");
    }
    if options.build.is_none() {
        options.build = ask(
            "Build script in the repository",
            "deploy.sh; none, if left empty",
        );
    }
    if options.shared.is_empty() {
        let shared = ask(
            "What outlives a release",
            "db.sqlite3 media/; nothing, if left empty",
        );
        let shared = shared.unwrap_or_default();
        options.shared = shared.split_whitespace().map(str::to_owned).collect();
    }
    if options.unit.is_empty() && options.gunicorn.is_none() {
        let unit = ask(
            "Unit that runs the app",
            "gunicorn.todo.service; a new one or none, if left empty",
        );
        options.unit.extend(unit);
        if options.unit.is_empty() {
            options.gunicorn = ask(
                "WSGI application, for a new unit with gunicorn",
                "todo.wsgi; no unit, if left empty",
            );
        }
    }
    let answers = options.health_url.is_some() || options.port.is_some();
    if !options.unit.is_empty() && options.gunicorn.is_none() && !answers {
        options.health_url = ask(
            "URL that says whether the app is well",
            "http://127.0.0.1:8000/; not asked, if left empty",
        );
    }
    if options.health_host.is_none() && options.nginx.is_none() {
        options.health_host = ask(
            "Host name that the app is asked for, as in ALLOWED_HOSTS",
            "todo.example.org; none, if left empty",
        );
    }
}

/// Makes the description.
///
/// # Errors
/// What is missing or cannot be, with the option that says it.
pub(super) fn describe(options: &Setup, owner: Owner, has: &HostHas) -> Result<Wanted, String> {
    let app = &options.app;
    if !is_app_name(app) {
        return Err(format!(
            "{app:?} cannot name an app: write small letters, digits, - and _, such as todo_django"
        ));
    }
    if options.data {
        return Err("--data removes data, so it is for --remove alone".into());
    }
    let repository = options
        .repository
        .clone()
        .ok_or("no repository is named\n  say which: --repository git@github.com:me/todo.git")?;
    let url = RepositoryUrl::parse(&repository).map_err(|why| format!("--repository: {why}"))?;
    let gunicorn = gunicorn(options, &owner, has)?;
    let listen = match (options.port, &gunicorn) {
        (Some(port), _) => Some(Listen::Port(port)),
        (None, Some(_)) => Some(Listen::Socket),
        (None, None) => None,
    };
    if let (Some(_), None) = (&options.nginx, listen) {
        return Err("nginx has to be told where the app answers\n  say --port N, or --gunicorn MODULE for a new unit".into());
    }
    let mut wanted = Wanted {
        app: app.clone(),
        root: root(options, &owner),
        by_ssh: matches!(url, RepositoryUrl::Ssh { .. }),
        ssh_config: ssh_config(options, &url, has),
        known_hosts: KNOWN_HOSTS.into(),
        owner,
        repository,
        follow: match &options.tag {
            Some(pattern) => ("tag", pattern.clone()),
            None => (
                "branch",
                options.branch.clone().unwrap_or_else(|| "main".into()),
            ),
        },
        interval: options.interval.clone(),
        shared: options.shared.clone(),
        build: options.build.clone(),
        env: options.env.clone(),
        env_files: options.env_file.clone(),
        static_root: options.static_root.clone(),
        units: options.unit.clone(),
        gunicorn,
        listen,
        health_url: options.health_url.clone(),
        health_path: options.health_path.clone(),
        health_host: options
            .health_host
            .clone()
            .or_else(|| options.nginx.clone()),
        health_expect: None,
        nginx: options.nginx.clone(),
    };
    if wanted.gunicorn.is_some() {
        own_unit(&mut wanted)?;
    }
    let written = std::iter::once(&wanted.root).chain(&wanted.static_root);
    if let Some(path) = written.into_iter().find(|path| !usable(path)) {
        return Err(format!(
            "{} cannot be written into a unit: take an absolute path of letters, digits and . _ - /",
            path.display()
        ));
    }
    Ok(wanted)
}

/// Whether the path can be a directory of an app's, and stand in units.
fn usable(path: &Path) -> bool {
    path.is_absolute() && path.parent().is_some() && text::is_plain(path)
}

/// What follows from a unit that setup makes.
fn own_unit(wanted: &mut Wanted) -> Result<(), String> {
    let unit = format!("gunicorn.{}.service", wanted.host_wide_name());
    match wanted.units.as_slice() {
        [] => wanted.units.push(unit),
        units if units.contains(&unit) => {}
        _ => {
            return Err(format!(
                "--gunicorn makes {unit}, which --unit does not name\n  leave --unit out, or --gunicorn where the unit is there already"
            ));
        }
    }
    if wanted.static_root.is_none() && !wanted.owner.own {
        wanted.static_root = Some(Path::new("/www/static").join(&wanted.app));
    }
    Ok(())
}

fn root(options: &Setup, owner: &Owner) -> PathBuf {
    let usual = || owner.roots().join(&options.app);
    options.root.clone().unwrap_or_else(usual)
}

fn gunicorn(options: &Setup, owner: &Owner, has: &HostHas) -> Result<Option<Gunicorn>, String> {
    let Some(module) = &options.gunicorn else {
        return Ok(None);
    };
    let word = |c: char| c.is_ascii_alphanumeric() || "._:()=\"'-".contains(c);
    if module.is_empty() || !module.chars().all(word) {
        return Err(format!(
            "--gunicorn: {module:?} names no WSGI application, such as todo.wsgi or shop:app"
        ));
    }
    let program = match &options.venv {
        Some(venv) => root(options, owner).join("current").join(venv).join("bin/gunicorn"),
        None => has.gunicorn.clone().ok_or(
            "gunicorn is not installed\n  apt install gunicorn, or name the virtual environment that the build makes: --venv .venv",
        )?,
    };
    Ok(Some(Gunicorn {
        module: module.clone(),
        program,
    }))
}

/// The file of aliases, if it is named or has the host of the address.
fn ssh_config(options: &Setup, url: &RepositoryUrl, has: &HostHas) -> Option<PathBuf> {
    let RepositoryUrl::Ssh { host, .. } = url else {
        return None;
    };
    let named = |text: &String| {
        text.lines().any(|line| {
            let mut words = line.split_whitespace();
            let is_host = words
                .next()
                .is_some_and(|word| word.eq_ignore_ascii_case("host"));
            is_host && words.any(|word| word == host)
        })
    };
    let usual = has.ssh_config.as_ref().filter(|text| named(text));
    options
        .ssh_config
        .clone()
        .or_else(|| usual.map(|_| SSH_CONFIG.into()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::super::args::{Arguments, Command};
    use super::*;

    fn described(words: &str) -> Result<Wanted, String> {
        let words = format!("pp-fetcher setup {words}");
        let parsed = Arguments::try_parse_from(words.split_whitespace());
        let Command::Setup(options) = parsed.map_err(|error| error.to_string())?.command else {
            return Err("another command".into());
        };
        let owner = Owner {
            user: "gunicorn".into(),
            group: "hosted_apps".into(),
            own: false,
        };
        let has = HostHas {
            gunicorn: Some("/usr/bin/gunicorn".into()),
            ssh_config: Some("Host github.com-repo-todo\n  HostName github.com\n".into()),
        };
        describe(&options, owner, &has)
    }

    #[test]
    fn a_gunicorn_brings_its_unit_its_socket_and_its_static_files() {
        let wanted = described("todo --repository git@github.com:me/todo.git --gunicorn todo.wsgi --nginx todo.example.org").unwrap();
        assert_eq!(wanted.units, ["gunicorn.todo.service"]);
        assert_eq!(
            wanted.probe().as_deref(),
            Some("unix:/run/gunicorn/todo.sock:/")
        );
        assert_eq!(wanted.health_host.as_deref(), Some("todo.example.org"));
        assert_eq!(
            wanted.static_root.as_deref(),
            Some(Path::new("/www/static/todo"))
        );
        assert_eq!(wanted.ssh_config, None);
    }

    #[test]
    fn an_alias_of_the_usual_file_is_found() {
        let wanted = described("todo --repository github.com-repo-todo:me/todo.git").unwrap();
        assert_eq!(wanted.ssh_config.as_deref(), Some(Path::new(SSH_CONFIG)));
        assert!(wanted.units.is_empty() && wanted.probe().is_none());
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_option_that_says_it() {
        let cases = [
            ("Todo --repository /srv/x", "cannot name an app"),
            ("todo", "--repository"),
            ("todo --repository http://x/y", "--repository"),
            ("todo --repository /srv/x --nginx a.example", "--port N"),
            (
                "todo --repository /srv/x --gunicorn a;b",
                "WSGI application",
            ),
            (
                "todo --repository /srv/x --gunicorn a --unit b.service",
                "leave --unit out",
            ),
            ("todo --repository /srv/x --root relative", "absolute path"),
            ("todo --repository /srv/x --socket", "--gunicorn"),
            ("todo --remove --repository x", "cannot be used"),
            ("todo --repository /srv/x --data", "--remove"),
        ];
        for (words, said) in cases {
            let refused = described(words).expect_err(words);
            assert!(refused.contains(said), "{words}: {refused}");
        }
    }
}
