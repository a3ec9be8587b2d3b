//! The command line: its definition, and one file for each command.

pub(crate) mod adopt;
pub(crate) mod args;
pub(crate) mod control;
pub(crate) mod doctor;
mod freeze;
mod help;
pub(crate) mod history;
pub(crate) mod hostkey;
pub(crate) mod logs;
pub(crate) mod output;
mod patience;
mod pin_as_root;
pub(crate) mod poll;
mod poll_options;
pub(crate) mod service;
pub(crate) mod setup;
pub(crate) mod status;
mod table;
mod watch;
pub(crate) mod why;

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

pub use args::command;
use args::{Arguments, Command, Hostkey};
use clap::Parser;
use doctor::AsRoot;
use nix::unistd::{Uid, geteuid};
use output::{print_error, say};

use crate::account::{self, become_user, keep};
use crate::config::{self, App, Config};
use crate::release::place::user;

/// Exit code: nothing went wrong.
pub(crate) const OK: u8 = 0;
/// Exit code: at least one app failed.
pub(crate) const FAILED: u8 = 1;
/// Exit code: the command line or the configuration is wrong.
pub(crate) const USAGE: u8 = 2;

/// Runs the program as the user of the apps, whichever user has started it. Root becomes that user first.
#[must_use]
pub(crate) fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    if let [_, word] = words.as_slice()
        && (word == "--version" || word == "-V")
    {
        // Without the parser, whose definition of all commands takes as long to build as the program takes to start.
        say(concat!("pp-fetcher ", env!("CARGO_PKG_VERSION"), "\n"));
        return ExitCode::from(OK);
    }
    let (words, by_root) = match become_user::from_arguments(words) {
        Ok(found) => found,
        Err(why) => {
            print_error(&format!("{why}; nothing was done"));
            return ExitCode::from(USAGE);
        }
    };
    let mut arguments = Arguments::parse_from(&words);
    arguments.by_root = by_root;
    if geteuid().is_root() {
        return as_root(&arguments, words);
    }
    run(&arguments)
}

/// Does the work that is left to root: starts the process that becomes the apps' user, and, to pin a host
/// key, writes below /etc what that process has found out.
fn as_root(arguments: &Arguments, words: Vec<OsString>) -> ExitCode {
    let done = match &arguments.command {
        Command::Setup(options) => Some(setup::setup(arguments, options)),
        Command::Adopt(options) => Some(adopt::adopt(arguments, options)),
        _ => None,
    };
    if let Some(code) = done {
        return ExitCode::from(code);
    }
    let named = arguments.user.as_deref();
    let account = named
        .map_or(Ok(()), account::check_named)
        .and_then(|()| account::of_the_apps(named, &arguments.state()));
    let account = match account {
        Ok(account) => account,
        Err(error) => {
            print_error(&error.to_string());
            return ExitCode::from(USAGE);
        }
    };
    arguments.color().apply();
    if let Command::Hostkey(Hostkey::Pin {
        app,
        fingerprint,
        submodule,
    }) = &arguments.command
    {
        let asked = pin_as_root::PinArguments {
            app,
            fingerprint: fingerprint.as_deref(),
            submodule: submodule.as_deref(),
        };
        return ExitCode::from(pin_as_root::pin(arguments, &account, &asked));
    }
    let mut words = words;
    if let Command::Doctor(options) = &arguments.command {
        match doctor::as_root(arguments, options, &account.name) {
            AsRoot::Done(code) => return ExitCode::from(code),
            AsRoot::Continue(by_root) => words.extend(by_root),
        }
    }
    // The directories as root resolves them: for another user, the same command line may mean other
    // directories.
    words.splice(1..1, arguments.places_not_said());
    match keep::run(&account, words.into_iter().skip(1)) {
        Ok(code) => code,
        Err(error) => {
            let name = &account.name;
            print_error(&format!(
                "cannot start as {name}: {error}; nothing was done"
            ));
            ExitCode::from(FAILED)
        }
    }
}

/// Runs the command of the command line, as the user of this process.
#[must_use]
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    // Files in a release are made writable for the group, as was usual before pp-fetcher: each member of the
    // group can change what another member has made. Users with apps of their own share them with nobody.
    let mask = if arguments.is_of_a_users_own() {
        0o027
    } else {
        0o002
    };
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(mask));
    arguments.color().apply();
    if let Some(Err(error)) = arguments.user.as_deref().map(account::check_named) {
        print_error(&error.to_string());
        return ExitCode::from(USAGE);
    }
    if let Some(code) = refuse_somebody_elses(arguments) {
        return ExitCode::from(code);
    }
    ExitCode::from(carry_out(arguments))
}

/// Refuses a command that runs build scripts to whoever is not the user of the apps.
fn refuse_somebody_elses(arguments: &Arguments) -> Option<u8> {
    let (Command::Poll(_) | Command::Run(_) | Command::Rollback { .. }) = &arguments.command else {
        return None;
    };
    let user = somebody_elses(&arguments.state())?;
    let words = std::env::args_os().skip(1);
    let words: Vec<_> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    print_error(&format!(
        "this runs build scripts, so only as the user of the apps, {user}: nothing was done\n  \
         as root: pp-fetcher {0}\n  with sudo: sudo -u {user} pp-fetcher {0}",
        words.join(" ")
    ));
    Some(USAGE)
}

/// Carries out the command of the command line. Gives the exit code.
fn carry_out(arguments: &Arguments) -> u8 {
    match &arguments.command {
        Command::Poll(options) => poll::poll(arguments, options),
        Command::Run(quiet) => service::run(arguments, *quiet),
        Command::Status { app, json } => status::status(arguments, app.as_deref(), *json),
        Command::Doctor(options) => doctor::doctor(arguments, options),
        Command::Setup(options) => setup::not_root(options),
        Command::Adopt(options) => adopt::not_root(options),
        Command::AdoptForUser(asked) => adopt::for_user(arguments, asked),
        Command::MoveData(options) => adopt::move_data(options),
        Command::SetupForUser(order) => setup::for_user(order),
        Command::Why {
            app,
            revision,
            json,
        } => why::why(arguments, app, revision.as_deref(), *json),
        Command::History { app, json } => history::history(arguments, app, *json),
        Command::Logs { app, attempt } => logs::logs(arguments, app, *attempt),
        Command::Rollback { app, release, yes } => {
            control::rollback(arguments, app, release.as_deref(), *yes)
        }
        Command::Retry { app } => control::retry(arguments, app),
        Command::AcceptRewrite { app, revision } => {
            control::accept_rewrite(arguments, app, revision)
        }
        Command::Hostkey(Hostkey::Show {
            app,
            submodule,
            machine,
            silent,
        }) => {
            let how = match (machine, silent) {
                (false, _) => hostkey::Audience::Person,
                (true, told) => hostkey::Audience::Root { told: !told },
            };
            hostkey::show(arguments, app, submodule.as_deref(), how)
        }
        Command::Hostkey(Hostkey::Pin {
            app,
            fingerprint,
            submodule,
        }) => hostkey::pin(arguments, app, fingerprint.as_deref(), submodule.as_deref()),
        Command::Pause { app, reason, until } => {
            control::pause(arguments, app, reason, until.as_deref())
        }
        Command::Resume { app } => control::resume(arguments, app),
        Command::Redeploy { app } => control::redeploy(arguments, app),
        Command::Freeze { app, reason, until } => {
            freeze::freeze(arguments, app.as_deref(), reason, until.as_deref())
        }
        Command::Thaw { app } => freeze::thaw(arguments, app.as_deref()),
    }
}

/// Gives the user of the apps, if that is not the user of this process: the owner of the state's directory.
fn somebody_elses(state: &Path) -> Option<String> {
    let owner = Uid::from_raw(std::fs::metadata(state).ok()?.uid());
    (!owner.is_root() && owner != geteuid()).then(|| user(owner))
}

/// Reads the configuration. Prints the mistakes in it that concern the apps `names`, or all mistakes if
/// `names` is empty.
///
/// Mistakes in the files of single apps are only printed; the other apps are used all the same.
fn load(directory: &Path, names: &[String]) -> Result<Config, u8> {
    let config = config::load(directory).map_err(|error| {
        print_error(&format!("{error}"));
        USAGE
    })?;
    config.ignored.iter().for_each(|note| print_error(note));
    config
        .broken_of(names)
        .for_each(|error| print_error(&format!("{error}")));
    Ok(config)
}

/// Selects the apps `names`, or all apps if `names` is empty.
fn select(config: Config, names: &[String]) -> Result<Vec<App>, u8> {
    let unknown = names
        .iter()
        .find(|name| !config.apps.iter().any(|app| app.name == **name));
    if let Some(name) = unknown {
        let named = std::slice::from_ref(name);
        if config.broken_of(named).next().is_some() {
            print_error(&format!(
                "nothing was done for {name}: its file has the mistake above"
            ));
            return Err(USAGE);
        }
        let mut known: Vec<_> = config.apps.iter().map(|app| app.name.clone()).collect();
        let stems = config
            .broken
            .iter()
            .filter_map(|error| error.path.file_stem());
        known.extend(stems.map(|stem| format!("{} (with a mistake)", stem.to_string_lossy())));
        known.sort();
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        print_error(&format!(
            "no app `{name}` is configured (configured: {known})"
        ));
        return Err(USAGE);
    }
    let wanted = |app: &App| names.is_empty() || names.contains(&app.name);
    Ok(config.apps.into_iter().filter(wanted).collect())
}

/// Says where an app would be configured.
fn say_no_app(arguments: &Arguments) {
    let directory = arguments.config().join("apps.d");
    say(&format!(
        "no app is configured in {}\n",
        directory.display()
    ));
}

/// Loads the app of the name `app`.
fn one_app(arguments: &Arguments, app: &str) -> Result<App, u8> {
    let names = [app.to_owned()];
    let config = load(&arguments.config(), &names)?;
    select(config, &names)?.pop().ok_or(USAGE)
}
