//! From what is found on the host to the description of the app; or to what a person has to say, all of it at once.

use std::path::{Path, PathBuf};

use super::args::Adopt;
use super::{address, ask_user};
use crate::account::Account;
use crate::adopt::data::{self, Sorted};
use crate::adopt::files::{self, is_plain};
use crate::adopt::for_user::Task;
use crate::adopt::look::{Facts, Server};
use crate::adopt::poller::Job;
use crate::adopt::record::Record;
use crate::adopt::units::{self, Service};
use crate::config::is_app_name;
use crate::git::RepositoryUrl;
use crate::hostkey::{published, trusted};
use crate::setup::apply::{self, Found as Standing};
use crate::setup::commands::Program;
use crate::setup::wanted::KNOWN_HOSTS;
use crate::setup::{Owner, Plan, Wanted, mark};

/// The most scripts of a user's own crontab that are looked into.
const MOST_SCRIPTS: usize = 100;

/// The app as it is and as it will be.
pub(super) struct Found {
    /// The app as it will be.
    pub(super) wanted: Wanted,
    /// The commit that is live.
    pub(super) commit: String,
    /// The branch that is checked out.
    pub(super) branch: String,
    /// The units that run the app; the first answers requests.
    pub(super) units: Vec<String>,
    /// The jobs of cron that update the checkout.
    pub(super) jobs: Vec<Job>,
    /// What becomes of the files that git does not have.
    pub(super) sorted: Sorted,
    /// The deploy key of the makeshift, if it has to be copied.
    pub(super) key: Option<PathBuf>,
    /// Whether the build script restarts the app itself, and is run without that.
    pub(super) restarts_itself: Option<String>,
    /// Host keys that the apps' user trusts today.
    pub(super) trusted: Vec<String>,
}

/// Finds everything out.
///
/// # Errors
/// What is missing or ambiguous, with the option that says it; all of it, not only the first.
pub(super) fn find(options: &Adopt, account: &Account, owner: Owner) -> Result<Found, String> {
    let root = checkout(options)?;
    let facts = look(&root, account, &owner.state(), &options.app)?;
    if let Some(taken) = facts.taken.first() {
        return Err(format!(
            "{0} is there already, and an adoption would make it: nothing was changed\n  move it away, or take another name for the app",
            taken.display()
        ));
    }
    let commit = facts.commit.clone().unwrap_or_default();
    let mut open = Vec::new();
    let branch = facts.branch.clone().unwrap_or_else(|| {
        open.push("no branch is checked out: git switch BRANCH, there".to_owned());
        String::new()
    });
    own_crontab(&facts, account, &mut open);
    let services = services(options, &root, account, &mut open);
    let sorted = sort(options, &facts, &mut open);
    let mut wanted = wanted(options, owner, &root, &facts, &mut open);
    wanted.units = services
        .iter()
        .map(|service| service.name.clone())
        .collect();
    wanted.shared.clone_from(&sorted.shared);
    wanted.health_url = options
        .health_url
        .clone()
        .or_else(|| address::url(&services));
    let guessed = wanted.health_url.as_deref().and_then(address::server_name);
    wanted.health_host = options.health_host.clone().or(guessed);
    let restarts_itself = facts
        .build
        .clone()
        .and_then(|(script, restarts)| restarts.then_some(script));
    if options.build.is_none() {
        wanted.build = facts
            .build
            .clone()
            .map(|(script, restarts)| match restarts {
                true => files::scripts(&options.app)
                    .join("build")
                    .to_string_lossy()
                    .into_owned(),
                false => script,
            });
    }
    let key = key(options, &facts, &wanted, &mut open);
    if !open.is_empty() {
        return Err(format!(
            "nothing was changed; this has to be said:\n  {}",
            open.join("\n  ")
        ));
    }
    Ok(Found {
        commit,
        branch,
        units: wanted.units.clone(),
        jobs: facts.jobs,
        sorted,
        key,
        restarts_itself: restarts_itself.filter(|_| options.build.is_none()),
        trusted: facts
            .server
            .map(|server| server.trusted)
            .unwrap_or_default(),
        wanted,
    })
}

/// The checkout, as a path that can stand in a unit.
fn checkout(options: &Adopt) -> Result<PathBuf, String> {
    if !is_app_name(&options.app) {
        return Err(format!("{:?} cannot name an app", options.app));
    }
    let root = options.from.clone().unwrap_or_default();
    let root: PathBuf = root.components().collect();
    if !root.is_absolute() || !is_plain(&root) {
        return Err(format!(
            "--from: {} is no absolute path of letters, digits and . _ - /",
            root.display()
        ));
    }
    Ok(root)
}

/// Has the apps' user look at its checkout.
fn look(root: &Path, account: &Account, state: &Path, app: &str) -> Result<Facts, String> {
    let crontab = Program::Crontab.answer(&["-l", "-u", &account.name]);
    let lines = || crontab.lines().filter(|line| !line.trim().starts_with('#'));
    let words = lines().flat_map(str::split_whitespace);
    let scripts = words.filter(|word| word.starts_with('/'));
    let look = Task::Look {
        directory: root.to_owned(),
        state: state.join(app),
        own_scripts: scripts.map(str::to_owned).take(MOST_SCRIPTS).collect(),
    };
    let done = ask_user(account, &look, None)?;
    let mut facts = done.facts.unwrap_or_default();
    let named = root.to_string_lossy();
    facts.own_jobs |= lines().any(|line| line.contains("git") && line.contains(&*named));
    if facts.commit.is_none() {
        return Err(format!(
            "{} is no checkout of git that {} can read\n  {}",
            root.display(),
            account.name,
            facts.errors.join("\n  ")
        ));
    }
    Ok(facts)
}

/// A line of the user's own crontab is the user's to take out.
fn own_crontab(facts: &Facts, account: &Account, open: &mut Vec<String>) {
    if facts.own_jobs {
        open.push(format!(
            "{0}'s own crontab updates the checkout: take that line out first, crontab -e -u {0}",
            account.name
        ));
    }
}

/// Sorts the files that git does not have; what is not clear goes to `open`.
fn sort(options: &Adopt, facts: &Facts, open: &mut Vec<String>) -> Sorted {
    let sorted = data::sort(&facts.extras, &options.shared, &options.leave);
    for path in &sorted.unclear {
        open.push(format!(
            "is {path} data? --shared {path} keeps it for every release, --leave {path} leaves it behind"
        ));
    }
    let odd = sorted.shared.iter().find(|path| !is_plain(Path::new(path)));
    if let Some(path) = odd {
        open.push(format!(
            "{path} cannot be written into a unit: give it a name of letters, digits and . _ -"
        ));
    }
    sorted
}

fn services(
    options: &Adopt,
    root: &Path,
    account: &Account,
    open: &mut Vec<String>,
) -> Vec<Service> {
    let shown = Program::Systemctl.answer(&["show", "--property", units::PROPERTIES, "*.service"]);
    let all = units::parse(&shown);
    let named = |service: &&Service| options.unit.contains(&service.name);
    let here = |service: &&Service| units::runs_from(service, root);
    let mut found: Vec<_> = match options.unit.is_empty() {
        true => all.iter().filter(here).cloned().collect(),
        false => all.iter().filter(named).cloned().collect(),
    };
    // The one that answers requests first: its restart is the one that users feel.
    found.sort_by_key(|service| {
        let answers =
            units::bound_to(&service.command).is_some() || !service.triggered_by.is_empty();
        !answers
    });
    if found.is_empty() {
        open.push(format!(
            "no running unit works in {}: --unit UNIT says which runs the app",
            root.display()
        ));
    }
    for service in &found {
        if !service.active {
            open.push(format!(
                "{0} does not run: systemctl start {0}",
                service.name
            ));
        }
        if service.user != account.name {
            open.push(format!(
                "{} runs as {}, and the apps of this configuration are {}'s: --user names another",
                service.name,
                if service.user.is_empty() {
                    "root"
                } else {
                    &service.user
                },
                account.name
            ));
        }
    }
    found
}

fn wanted(
    options: &Adopt,
    owner: Owner,
    root: &Path,
    facts: &Facts,
    open: &mut Vec<String>,
) -> Wanted {
    let server = facts.server.as_ref();
    let config = server.and_then(|server| server.config.clone());
    let ssh_config =
        config.filter(|file| trusted::read("config", file).is_ok_and(|(_, text)| text.is_some()));
    let repository = options.repository.clone().or_else(|| {
        let address = facts.repository.clone()?;
        match (server, &ssh_config) {
            (Some(server), None) => resolved(&address, server),
            _ => Some(address),
        }
    });
    let repository = repository.unwrap_or_else(|| {
        open.push("which repository? --repository git@github.com:me/todo.git".to_owned());
        String::new()
    });
    let url = RepositoryUrl::parse(&repository);
    if let (Err(why), false) = (&url, repository.is_empty()) {
        open.push(format!("--repository names another: {why}"));
    }
    let known = server.is_some_and(|server| published::of_host(&server.host).is_some());
    let own_pins = options.host_key_fingerprint.is_none() && !known;
    Wanted {
        app: options.app.clone(),
        by_ssh: matches!(url, Ok(RepositoryUrl::Ssh { .. })),
        repository,
        follow: ("branch", facts.branch.clone().unwrap_or_default()),
        interval: None,
        ssh_config,
        // What this user trusts today is pinned for this app alone, not for the whole host.
        known_hosts: match own_pins {
            true => format!("{KNOWN_HOSTS}.{}", options.app).into(),
            false => KNOWN_HOSTS.into(),
        },
        root: root.to_owned(),
        shared: Vec::new(),
        build: options.build.clone(),
        env: Vec::new(),
        env_files: Vec::new(),
        static_root: None,
        units: Vec::new(),
        gunicorn: None,
        listen: None,
        health_url: None,
        health_path: "/".into(),
        health_host: None,
        health_expect: None,
        nginx: None,
        owner,
    }
}

/// Gives the address with the server's real name in place of an alias; `None` if that takes more than is known.
fn resolved(address: &str, server: &Server) -> Option<String> {
    let Server {
        host, port, user, ..
    } = server;
    if address.contains("://") {
        return Some(address.to_owned());
    }
    let (_, path) = address.split_once(':')?;
    match (*port, path.starts_with('/')) {
        (22, _) => Some(format!("{user}@{host}:{path}")),
        (port, true) => Some(format!("ssh://{user}@{host}:{port}{path}")),
        // Relative to a home that only the server knows.
        (_, false) => None,
    }
}

fn key(options: &Adopt, facts: &Facts, wanted: &Wanted, open: &mut Vec<String>) -> Option<PathBuf> {
    if !wanted.by_ssh {
        return None;
    }
    let of_server = facts.server.as_ref().and_then(|server| server.key.clone());
    let key = options.key.clone().or(of_server);
    if key.is_none() {
        open.push(format!(
            "{} finds no private key that it can read: --key FILE names it",
            wanted.owner.user
        ));
    }
    key.filter(|key| *key != wanted.key())
}

/// Refuses where a file of the plan, or a drop-in of a unit, is a person's own.
pub(super) fn nothing_in_the_way(
    app: &str,
    units: &[String],
    planned: &Plan,
) -> Result<(), String> {
    let mut foreign = Vec::new();
    for file in &planned.files {
        // The way back removes what an adoption has made, so nothing of another set-up may be there.
        if apply::look(file, &mark(app))? != Standing::Nothing {
            foreign.push(file.path.clone());
        }
    }
    for unit in units {
        let path = Record::drop_in(unit);
        foreign.extend(apply::read(&path)?.map(|_| path));
    }
    match foreign.first() {
        None => Ok(()),
        Some(path) => Err(format!(
            "{0} is there already: nothing was changed\n  move it away: mv {0} {0}.old",
            path.display()
        )),
    }
}
