//! `pp-fetcher adopt`: finds out, shows, asks, and has everything done; see [`crate::adopt`].
//!
//! - [`args`]: the options. [`find`]: from the checkout to the description of the app, or to what a person has to say;
//!   [`find_units`]: what it asks about the units of this host.
//! - [`address`], [`probe`]: where the live app answers, and with what. [`show`]: the plan as text.
//! - [`carry_out`]: everything that is done, in order. [`undo`]: the way back. [`steps`]: what both take.

mod address;
pub(crate) mod args;
mod carry_out;
mod find;
mod find_units;
mod probe;
mod show;
mod steps;
mod undo;

use std::path::Path;

use args::{Adopt, AdoptForUser, MoveData};

use super::args::Arguments;
use super::output::{print_error, say, say_json};
use super::setup::stage::Staged;
use super::setup::{Refusal, answer_of, examine, exit_code, host_key, may_go_on, owner};
use super::{FAILED, OK, USAGE, one_app};
use crate::account::Account;
use crate::adopt::for_user::{Done, Task, carry_out as carry_out_task};
use crate::adopt::moving::{self, Moved};
use crate::adopt::record::Record;
use crate::setup::{apply, host, plan};

/// Adopts an app, or undoes that. Gives the exit code.
pub(super) fn adopt(arguments: &Arguments, options: &Adopt) -> u8 {
    exit_code(
        &options.app,
        match options.undo {
            true => undo::undo(arguments, options),
            false => try_adopt(arguments, options),
        },
    )
}

/// Refuses to adopt anything without root.
pub(super) fn not_root(options: &Adopt) -> u8 {
    print_error(&format!(
        "an adoption changes units and crontabs, so it is for root\n  sudo pp-fetcher adopt {} …",
        options.app
    ));
    USAGE
}

/// `pp-fetcher adopt-for-user`: does what the apps' user has to do. The result is JSON, for the process of root's.
pub(super) fn for_user(arguments: &Arguments, asked: &AdoptForUser) -> u8 {
    let (app, task) = match serde_json::from_str::<(Option<String>, Task)>(&asked.task) {
        Ok(asked) => asked,
        Err(error) => {
            print_error(&error.to_string());
            return USAGE;
        }
    };
    let app = match app.map(|name| one_app(arguments, &name)).transpose() {
        Ok(app) => app,
        Err(code) => return code,
    };
    let done = carry_out_task(&task, app.as_ref());
    let code = if done.error.is_some() { FAILED } else { OK };
    say_json(&serde_json::to_string(&done).unwrap_or_default());
    code
}

/// `pp-fetcher move-data`: what a unit of an adopted app does before it starts. Gives the exit code.
pub(super) fn move_data(options: &MoveData) -> u8 {
    let mut code = OK;
    for path in &options.paths {
        let moved = match options.back {
            true => moving::back(&options.root, path),
            false => moving::there(&options.root, path),
        };
        let shown = options.root.join(path);
        match moved {
            Ok(Moved::Done | Moved::Before) => {}
            Ok(Moved::InUse(pid)) => {
                say(&format!(
                    "{} stays where it is: process {pid} has it open\n",
                    shown.display()
                ));
            }
            Err(error) => {
                print_error(&format!("{} cannot be moved: {error}", shown.display()));
                code = FAILED;
            }
        }
    }
    code
}

/// Has the apps' user do `task`. With `config`, the app of that configuration is meant.
fn ask_user(account: &Account, task: &Task, app: Option<(&Path, &str)>) -> Result<Done, String> {
    let name = app.map(|(_, name)| name);
    let task = serde_json::to_string(&(name, task)).map_err(|error| error.to_string())?;
    let mut words = Vec::new();
    if let Some((config, _)) = app {
        words.extend(["--config".into(), config.as_os_str().to_owned()]);
    }
    words.extend(["adopt-for-user".into(), task.into()]);
    let done: Done = answer_of(account, words)?;
    match &done.error {
        None => Ok(done),
        Some(why) => Err(why.clone()),
    }
}

fn try_adopt(arguments: &Arguments, options: &Adopt) -> Result<(), Refusal> {
    let usage = |why: String| (USAGE, why);
    if arguments.names_a_directory() {
        return Err(usage(
            "an adoption is made in /etc/pp-fetcher, so it takes neither --config nor --state"
                .into(),
        ));
    }
    if apply::read(&Record::path(&options.app))
        .map_err(usage)?
        .is_some()
    {
        return Err(usage(format!(
            "is adopted already, or half of it\n  back to the checkout: pp-fetcher adopt {} --undo",
            options.app
        )));
    }
    let (account, owner) = owner(arguments)?;
    let mut found = find::find(options, &account, owner).map_err(usage)?;
    let allowed = host::allowed(&found.wanted.owner);
    let mut planned = plan(&found.wanted, &allowed);
    find::nothing_in_the_way(&found.wanted.app, &found.units, &planned).map_err(usage)?;
    let mut staged = Staged::make(&found.wanted, &planned).map_err(usage)?;
    if probe::health(&mut found, &account, &staged).map_err(usage)? {
        planned = plan(&found.wanted, &allowed);
        staged = Staged::make(&found.wanted, &planned).map_err(usage)?;
    }
    say(&show::shown(&found, &planned));
    if !may_go_on(options.dry_run, options.yes)? {
        return Ok(());
    }
    let host_key = match found.wanted.by_ssh {
        true => host_key::choose(
            arguments,
            &account,
            &staged,
            options.host_key_fingerprint.as_deref(),
            &found.trusted,
        )?,
        false => None,
    };
    let work = carry_out::Adoption {
        found: &found,
        planned: &planned,
        staged: &staged,
        account: &account,
        host_key: host_key.as_ref(),
    };
    let told = carry_out::carry_out(arguments, &work).map_err(|why| (FAILED, why))?;
    say(&told);
    examine(arguments, &account, &options.app);
    Ok(())
}
