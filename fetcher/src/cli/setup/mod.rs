//! `pp-fetcher setup`: plans, shows, asks, and has everything made; see [`crate::setup`].
//!
//! - [`args`]: the options. [`describe`]: from them, and from a person's answers, to the description of an app.
//! - [`show`]: the plan as text. [`stage`]: the configuration as it will be, read before anything is written.
//! - [`host_key`]: which key of the server is trusted. [`make`]: everything that is made, in order.
//! - [`left`]: what is left for a person to do. [`remove`]: `--remove`.

pub(crate) mod args;
mod describe;
pub(super) mod host_key;
pub(super) mod left;
pub(super) mod make;
mod remove;
mod show;
pub(super) mod stage;

use std::ffi::OsString;
use std::io::{BufRead, IsTerminal};

use args::{Setup, SetupForUser};
use describe::HostHas;
use nix::unistd::Group;
use serde::de::DeserializeOwned;

use super::args::{Arguments, Doctor};
use super::doctor::{self, AsRoot};
use super::output::{print_error, print_prompt, say, say_json};
use super::{FAILED, OK, USAGE};
use crate::account::{self, Account, keep};
use crate::setup::apply::{self, Found};
use crate::setup::for_user::{Done, Order, carry_out};
use crate::setup::{Owner, Plan, PlannedFile, Wanted, host, plan};

/// What ends a set-up: the exit code, and what a person is told.
pub(super) type Refusal = (u8, String);

/// Sets an app up, or takes away what a set-up has made. Gives the exit code.
pub(super) fn setup(arguments: &Arguments, options: &Setup) -> u8 {
    exit_code(
        &options.app,
        match options.remove {
            true => remove::remove(arguments, options),
            false => try_setup(arguments, options.clone()),
        },
    )
}

/// Tells why the work on `app` was refused, if it was. Gives the exit code.
pub(super) fn exit_code(app: &str, done: Result<(), Refusal>) -> u8 {
    match done {
        Ok(()) => OK,
        Err((code, why)) => {
            if !why.is_empty() {
                print_error(&format!("{app}: {why}"));
            }
            code
        }
    }
}

/// Makes the refusal of work that can be done again from where it ended.
pub(super) fn resumable(why: String) -> Refusal {
    (
        FAILED,
        format!("{why}\n  when that is mended, the same command goes on from here"),
    )
}

/// Refuses to set anything up without root.
pub(super) fn not_root(options: &Setup) -> u8 {
    print_error(&format!(
        "a set-up writes below /etc, so it is for root\n  sudo pp-fetcher setup {} …",
        options.app
    ));
    USAGE
}

/// `pp-fetcher setup-for-user`: makes what the apps' user has to make. The result is JSON, for the process of root's.
pub(super) fn for_user(asked: &SetupForUser) -> u8 {
    let done = match serde_json::from_str::<Order>(&asked.order) {
        Ok(order) => carry_out(&order),
        Err(error) => Done {
            error: Some(error.to_string()),
            ..Done::default()
        },
    };
    let code = if done.error.is_some() { FAILED } else { OK };
    say_json(&serde_json::to_string(&done).unwrap_or_default());
    code
}

fn try_setup(arguments: &Arguments, mut options: Setup) -> Result<(), Refusal> {
    let usage = |why: String| (USAGE, why);
    if arguments.names_a_directory() {
        return Err(usage(
            "a set-up is made in /etc/pp-fetcher, so it takes neither --config nor --state".into(),
        ));
    }
    let (account, owner) = owner(arguments)?;
    if std::io::stdin().is_terminal() {
        describe::ask(&mut options);
    }
    let has = HostHas::look().map_err(usage)?;
    let wanted = describe::describe(&options, owner, &has).map_err(usage)?;
    host_can(&wanted).map_err(usage)?;
    let plan = plan(&wanted, &host::allowed(&wanted.owner));
    let found = find(&wanted, &plan)?;
    let staged = stage::Staged::make(&wanted, &plan).map_err(usage)?;
    say(&show::plan(&wanted, &plan, &found));
    if !may_go_on(options.dry_run, options.yes)? {
        return Ok(());
    }
    let host_key = match wanted.by_ssh {
        true => host_key::choose(
            arguments,
            &account,
            &staged,
            options.host_key_fingerprint.as_deref(),
            &[],
        )?,
        false => None,
    };
    let made = make::make(&make::Making {
        wanted: &wanted,
        plan: &plan,
        account: &account,
        app: &staged.app,
        host_key: host_key.as_ref(),
    })
    .map_err(resumable)?;
    say(&left::text(&wanted, &staged.app, &made));
    examine(arguments, &account, &wanted.app);
    Ok(())
}

/// Gives the user that the app is to belong to.
pub(super) fn owner(arguments: &Arguments) -> Result<(Account, Owner), Refusal> {
    let named = arguments.user.as_deref();
    let (account, own) = account::for_new_app(named).map_err(|error| (USAGE, error.to_string()))?;
    let group = Group::from_gid(account.gid).ok().flatten();
    let owner = Owner {
        user: account.name.clone(),
        group: group.map_or_else(|| account.gid.to_string(), |group| group.name),
        own,
    };
    Ok((account, owner))
}

/// Checks what the host has to have before anything is planned.
fn host_can(wanted: &Wanted) -> Result<(), String> {
    let restarter = crate::setup::commands::Program::Restarter;
    if !wanted.units.is_empty() && !restarter.is_there() {
        return Err(
            "pp-restarter is not installed, and nothing else may restart units\n  apt install pp-restarter"
                .into(),
        );
    }
    if wanted.nginx.is_some() && !host::has_nginx() {
        return Err("nginx is not installed\n  apt install nginx, or leave --nginx out".into());
    }
    Ok(())
}

/// Looks at what stands where the planned files are to be. A person's own file is never replaced.
fn find(wanted: &Wanted, plan: &Plan) -> Result<Vec<(PlannedFile, Found)>, Refusal> {
    let mut all = Vec::new();
    for file in &plan.files {
        let found = apply::look(file, &wanted.app).map_err(|why| (USAGE, why))?;
        let persons = match found {
            Found::Foreign => Some("is there, and was not written by setup: nothing was changed"),
            Found::Changed => Some(
                "is there, and somebody has changed it since setup has written it: nothing was changed",
            ),
            Found::Nothing | Found::Same | Found::Older => None,
        };
        if let Some(why) = persons {
            return Err((
                USAGE,
                format!(
                    "{0} {why}\n  change it by hand, or move it away: mv {0} {0}.old",
                    file.path.display()
                ),
            ));
        }
        all.push((file.clone(), found));
    }
    Ok(all)
}

/// Whether what was shown is to be done: not if it was only to be shown. Asks a person on a terminal, unless the answer
/// is `yes` already.
pub(super) fn may_go_on(dry_run: bool, yes: bool) -> Result<bool, Refusal> {
    if dry_run {
        say("nothing was changed (--dry-run)\n");
        return Ok(false);
    }
    if std::io::stdin().is_terminal() && !yes {
        confirm()?;
    }
    Ok(true)
}

fn confirm() -> Result<(), Refusal> {
    print_prompt("Make all of this? [y/N] ");
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    match (read, line.trim()) {
        (Ok(_), "y" | "Y" | "yes") => Ok(()),
        _ => Err((FAILED, "nothing was changed".into())),
    }
}

/// Lets the apps' user do what is its own to do.
pub(super) fn ask_user(account: &Account, order: &Order) -> Result<Done, String> {
    let order = serde_json::to_string(order).map_err(|error| error.to_string())?;
    let done: Done = answer_of(account, vec!["setup-for-user".into(), order.into()])?;
    match &done.error {
        None => Ok(done),
        Some(why) => Err(why.clone()),
    }
}

/// Runs pp-fetcher as the apps' user with these words, and reads its answer.
pub(super) fn answer_of<T: DeserializeOwned>(
    account: &Account,
    words: Vec<OsString>,
) -> Result<T, String> {
    let (answer, _) = keep::ask(account, words.into_iter())
        .map_err(|error| format!("cannot start as {}: {error}", account.name))?;
    serde_json::from_slice(&answer)
        .map_err(|error| format!("the process of {} gave no answer: {error}", account.name))
}

/// Shows the doctor's findings about the app. They do not decide the exit code: a key that nobody has registered yet is
/// no fault of the set-up.
pub(super) fn examine(arguments: &Arguments, account: &Account, app: &str) {
    say("\nWhat the doctor finds now:\n");
    let options = Doctor {
        app: Some(app.to_owned()),
        json: false,
        by_root: None,
    };
    if let AsRoot::Continue(by_root) = doctor::as_root(arguments, &options, &account.name) {
        let mut words = arguments.for_another();
        words.extend(["doctor".into(), app.into()]);
        words.extend(by_root);
        if let Err(error) = keep::run(account, words.into_iter()) {
            print_error(&format!("cannot start as {}: {error}", account.name));
        }
    }
}
