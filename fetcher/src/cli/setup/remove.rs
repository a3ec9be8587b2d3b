//! `pp-fetcher setup --remove`: takes away what a set-up has made of an app. Files of a person's stay, and data stays
//! unless `--data` is said.

use std::path::{Path, PathBuf};

use super::args::Setup;
use super::{Refusal, ask_user, may_go_on, owner, resumable};
use crate::account::Account;
use crate::cli::USAGE;
use crate::cli::args::Arguments;
use crate::cli::output::say;
use crate::config::{self, App, is_app_name};
use crate::setup::commands::Program;
use crate::setup::for_user::Order;
use crate::setup::places::Places;
use crate::setup::remove::{Whose, whose};
use crate::setup::{FileUse, Owner, PlannedFile, apply, host};

/// What is to be taken away.
struct Removal {
    ours: Vec<PathBuf>,
    foreign: Vec<PathBuf>,
    data: Vec<PathBuf>,
    key: PathBuf,
}

/// Removes what a set-up has made of the app that `options` names.
pub(super) fn remove(arguments: &Arguments, options: &Setup) -> Result<(), Refusal> {
    let name = &options.app;
    if !is_app_name(name) {
        return Err((USAGE, format!("{name:?} cannot name an app")));
    }
    let (account, owner) = owner(arguments)?;
    let found = Places::of(name, &owner);
    let removal = look(name, &owner, &found).map_err(|why| (USAGE, why))?;
    let nothing = removal.ours.is_empty() && !options.data;
    if nothing {
        return Err((
            USAGE,
            format!(
                "nothing of this app was written by setup, so nothing was removed\n  its file would be {}",
                found.app.display()
            ),
        ));
    }
    say(&shown(&removal, options.data));
    if !may_go_on(options.dry_run, options.yes)? {
        return Ok(());
    }
    carry_out(name, &owner, &account, &found, &removal, options.data).map_err(resumable)
}

fn look(name: &str, owner: &Owner, found: &Places) -> Result<Removal, String> {
    let mut removal = Removal {
        ours: Vec::new(),
        foreign: Vec::new(),
        data: Vec::new(),
        key: owner.config().join("keys").join(name),
    };
    let all = [&found.app, &found.drop_in, &found.policy, &found.site];
    for path in all.into_iter().chain(found.units()) {
        match whose(path, name)? {
            Whose::Nobodys => {}
            Whose::Ours => removal.ours.push(path.clone()),
            Whose::Foreign => removal.foreign.push(path.clone()),
        }
    }
    if let Some(app) = configured(name, owner)? {
        removal.data.push(app.deploy.root);
        let statics = app.deploy.env.get("STATIC_ROOT");
        removal.data.extend(statics.map(PathBuf::from));
    }
    removal.data.push(owner.state().join(name));
    // A removal that was cut short has taken the configuration away already.
    let noted = apply::read(&found.removing)?.unwrap_or_default();
    for path in noted.lines().map(PathBuf::from) {
        if !removal.data.contains(&path) {
            removal.data.push(path);
        }
    }
    Ok(removal)
}

/// Reads the app's configuration, for the directories of its data.
fn configured(name: &str, owner: &Owner) -> Result<Option<App>, String> {
    let directory = owner.config();
    let both = apply::open(&directory)?.zip(apply::open(&directory.join("apps.d"))?);
    let Some((common, apps)) = both else {
        return Ok(None);
    };
    config::one(&common, &apps, &directory, name).map_err(|error| error.to_string())
}

fn shown(removal: &Removal, data: bool) -> String {
    let mut text = String::new();
    let mut line = |what: &str, path: &Path| {
        text.push_str(&format!("{what} {}\n", path.display()));
    };
    for path in &removal.ours {
        line("remove", path);
    }
    line("remove the deploy key, if setup has made it:", &removal.key);
    for path in &removal.data {
        line(if data { "REMOVE WITH ALL DATA" } else { "keep" }, path);
    }
    for path in &removal.foreign {
        line("keep, as it was not written by setup:", path);
    }
    text
}

fn carry_out(
    name: &str,
    owner: &Owner,
    account: &Account,
    found: &Places,
    removal: &Removal,
    data: bool,
) -> Result<(), String> {
    let ours = |path: &PathBuf| removal.ours.contains(path);
    let service = owner.service();
    if data {
        note(&found.removing, &removal.data)?;
    }
    // First of all nothing polls the app any more.
    if ours(&found.app) {
        apply::remove(&found.app)?;
    }
    host::tell_service(&service, false)?;
    ask_user(
        account,
        &Order {
            wait_for: Some((owner.state(), name.to_owned())),
            ..Order::default()
        },
    )?;
    let drop_in = ours(&found.drop_in) && apply::remove_drop_in(&found.drop_in)?;
    let units: Vec<_> = found
        .units()
        .into_iter()
        .filter(|path| ours(path))
        .collect();
    for path in &units {
        let unit = path.file_name().unwrap_or_default().to_string_lossy();
        Program::Systemctl.must(&["disable", "--now", "--quiet", &unit])?;
        apply::remove(path)?;
    }
    if drop_in || !units.is_empty() {
        Program::Systemctl.must(&["daemon-reload"])?;
    }
    if drop_in {
        host::tell_service(&service, drop_in)?;
    }
    if ours(&found.site) {
        let (link, _) = apply::site_link(&found.site);
        apply::remove(&link)?;
        apply::remove(&found.site)?;
        host::if_active("nginx.service", "reload")?;
    }
    if ours(&found.policy) {
        apply::remove(&found.policy)?;
    }
    let done = ask_user(
        account,
        &Order {
            remove_key: Some((removal.key.clone(), name.to_owned())),
            erase: if data {
                removal.data.clone()
            } else {
                Vec::new()
            },
            ..Order::default()
        },
    )?;
    say(&ended(removal, data, done.removed_key));
    // What is left of a directory that root has made is root's to remove, once it is empty.
    let lines: Vec<_> = done
        .kept
        .iter()
        .filter(|(path, _)| data && removal.data.contains(path))
        .filter(|(path, _)| !apply::remove_empty(path))
        .map(|(path, why)| format!("{} stays: {why}", path.display()))
        .collect();
    match lines.is_empty() {
        true => apply::remove(&found.removing).map(drop),
        false => Err(lines.join("\n  ")),
    }
}

/// Notes where the data is, before the configuration that tells it goes.
fn note(file: &Path, data: &[PathBuf]) -> Result<(), String> {
    let lines = data.iter().map(|path| format!("{}\n", path.display()));
    apply::write(&PlannedFile {
        path: file.to_owned(),
        text: lines.collect(),
        used_by: FileUse::App,
    })
    .map(drop)
}

fn ended(removal: &Removal, data: bool, removed_key: bool) -> String {
    let mut text = String::from("Removed.");
    if removed_key {
        text.push_str(" Remove the deploy key at the forge as well.");
    }
    if !data {
        text.push_str(" What stays:\n");
        for path in &removal.data {
            text.push_str(&format!("  {}\n", path.display()));
        }
        text.push_str("  the pinned host key, which other apps may use\n");
        return text;
    }
    text.push('\n');
    text
}
