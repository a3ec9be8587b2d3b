//! The command line: its definition, and one file for each command.

pub mod args;
pub mod control;
mod help;
pub mod history;
pub mod hostkey;
pub mod logs;
pub mod output;
pub mod poll;
pub mod service;
pub mod status;
mod table;

use std::path::Path;
use std::process::ExitCode;

pub use args::command;
use args::{Arguments, Command, Hostkey};
use nix::unistd::geteuid;

use crate::config::{self, App, Config};

/// Nothing went wrong.
pub const OK: u8 = 0;
/// An app failed.
pub const FAILED: u8 = 1;
/// The command line or the configuration is wrong.
pub const USAGE: u8 = 2;

/// Does what the command line says.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    // As the old way has it: what one member of the group makes, another can change.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o002));
    arguments.color().apply();
    let code = match &arguments.command {
        Command::Poll(_) | Command::Run(_) | Command::Rollback { .. } if geteuid().is_root() => {
            eprintln!(
                "pp-fetcher: this runs build scripts, so not as root: as the user of the apps, with\n  \
                 runuser -u gunicorn -- pp-fetcher …"
            );
            USAGE
        }
        Command::Poll(options) => poll::poll(arguments, options),
        Command::Run(quiet) => service::run(arguments, *quiet),
        Command::Status { app, json } => status::status(arguments, app.as_deref(), *json),
        Command::History { app, json } => history::history(arguments, app, *json),
        Command::Logs { app, attempt } => logs::logs(arguments, app, *attempt),
        Command::Rollback { app, release } => control::rollback(arguments, app, release.as_deref()),
        Command::Retry { app } => control::retry(arguments, app),
        Command::AcceptRewrite { app, revision } => {
            control::accept_rewrite(arguments, app, revision)
        }
        Command::Hostkey(Hostkey::Show { app, submodule }) => {
            hostkey::show(arguments, app, submodule.as_deref())
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
    };
    ExitCode::from(code)
}

/// Reads the configuration; says what is wrong with it.
///
/// Mistakes in single apps are told and leave the others at work.
fn load(directory: &Path) -> Result<Config, u8> {
    let config = config::load(directory).map_err(|error| {
        eprintln!("pp-fetcher: {error}");
        USAGE
    })?;
    config
        .ignored
        .iter()
        .for_each(|note| eprintln!("pp-fetcher: {note}"));
    config
        .broken
        .iter()
        .for_each(|error| eprintln!("pp-fetcher: {error}"));
    Ok(config)
}

/// The apps that were named, or all.
fn select(config: Config, names: &[String]) -> Result<Vec<App>, u8> {
    let unknown = names
        .iter()
        .find(|name| !config.apps.iter().any(|app| app.name == **name));
    if let Some(name) = unknown {
        let known: Vec<_> = config.apps.iter().map(|app| app.name.as_str()).collect();
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        eprintln!("pp-fetcher: no app `{name}` is configured (configured: {known})");
        return Err(USAGE);
    }
    let wanted = |app: &App| names.is_empty() || names.contains(&app.name);
    Ok(config.apps.into_iter().filter(wanted).collect())
}
