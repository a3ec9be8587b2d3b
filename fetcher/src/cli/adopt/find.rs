//! From what is found on the host to the description of the app; or to what a person has to say, all of it at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::args::Adopt;
use super::find_units::{all_below, all_services, in_order, is_meant, kept, pollers, runs_scripts};
use super::{address, ask_user};
use crate::account::Account;
use crate::adopt::data::{self, Sorted};
use crate::adopt::files;
use crate::adopt::for_user::Task;
use crate::adopt::look::{Facts, Places, Server};
use crate::adopt::poller::{self, Job};
use crate::adopt::record::Record;
use crate::adopt::units::Service;
use crate::config::is_app_name;
use crate::git::RepositoryUrl;
use crate::hostkey::{published, trusted};
use crate::setup::apply::{self, Found as Standing};
use crate::setup::commands::Program;
use crate::setup::wanted::KNOWN_HOSTS;
use crate::setup::{Owner, Plan, Wanted};
use crate::util::text::{is_plain, typed};

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
    /// The directory below the checkout in which a unit works, of those that do not work at its top.
    pub(super) below: BTreeMap<String, PathBuf>,
    /// What the units go on using of the checkout: the unit, and the path.
    pub(super) kept: Vec<(String, PathBuf)>,
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
    let all = all_services();
    let (services, others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|service| is_meant(options, &root, service));
    let facts = look(&root, account, &owner.state(), options, &others)?;
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
    pollers(&facts, account, &others, &mut open);
    let services = in_order(services, &root, account, &mut open);
    let kept = kept(options, &root, &services, &mut open);
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
    if let (None, Some((script, restarts))) = (&options.build, &facts.build) {
        let stand_in = files::scripts(&options.app).join("build");
        wanted.build = Some(match restarts {
            true => stand_in.to_string_lossy().into_owned(),
            false => script.clone(),
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
        below: all_below(&services, &root),
        kept,
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
fn look(
    root: &Path,
    account: &Account,
    state: &Path,
    options: &Adopt,
    others: &[Service],
) -> Result<Facts, String> {
    let crontab = Program::Crontab.answer(&["-l", "-u", &account.name]);
    let lines = || crontab.lines().filter(|line| !line.trim().starts_with('#'));
    let scripts = lines().flat_map(poller::scripts);
    let named = [&options.shared, &options.leave, &options.keep];
    let of_users = others.iter().filter(|unit| runs_scripts(unit));
    let units = of_users.map(|unit| (unit.name.clone(), unit.uses.clone()));
    let look = Task::Look {
        places: Places {
            directory: root.to_owned(),
            own_scripts: scripts.map(str::to_owned).take(MOST_SCRIPTS).collect(),
            named: named.into_iter().flatten().cloned().collect(),
            units: units.take(MOST_SCRIPTS).collect(),
        },
        state: state.join(&options.app),
    };
    let done = ask_user(account, &look, None)?;
    let mut facts = done.facts.unwrap_or_default();
    let named = root.to_string_lossy();
    facts.own_jobs |= lines().any(|line| poller::updates(line) && line.contains(&*named));
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

/// Sorts the files that git does not have; what is not clear goes to `open`.
fn sort(options: &Adopt, facts: &Facts, open: &mut Vec<String>) -> Sorted {
    let stays: Vec<_> = options.leave.iter().chain(&options.keep).cloned().collect();
    let sorted = data::sort(&facts.extras, &options.shared, &stays);
    for path in &sorted.unclear {
        let path = typed(Path::new(path));
        open.push(format!(
            "is {path} data? --shared {path} keeps it for every release, --leave {path} leaves it behind"
        ));
    }
    for path in &facts.absent {
        open.push(format!(
            "{} is not there, in the checkout",
            typed(Path::new(path))
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
        if apply::look(file, app)? != Standing::Nothing {
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
