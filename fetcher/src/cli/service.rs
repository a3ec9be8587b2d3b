//! `pp-fetcher run`: the command that runs the service.

use std::time::Duration;

use jiff::Timestamp;

use super::args::Arguments;
use super::output::level::QuietOption;
use super::output::{Output, print_error};
use super::patience::Until;
use super::{FAILED, OK, load, poll};
use crate::config::Config;
use crate::deploy::{Trigger, backoff};
use crate::release::place;
use crate::report::passes;
use crate::schedule::hold;
use crate::service;
use crate::state::StateDir;

/// A poll comes so long after the opening of a window, not to be a moment too early.
const AFTER_OPENING: Duration = Duration::from_millis(200);

/// Runs the service until a signal stops it. Gives the exit code.
pub(crate) fn run(arguments: &Arguments, quiet: QuietOption) -> u8 {
    let config = match load(&arguments.config(), &[]) {
        Ok(config) => config,
        Err(code) => return code,
    };
    look(&config);
    forget(&config, arguments);
    let output = Output::choose(quiet.into());
    let reload = || {
        let config = load(&arguments.config(), &[]).ok()?;
        look(&config);
        forget(&config, arguments);
        Some(config)
    };
    match service::run(config, reload, |app| {
        poll::one(app, arguments, Trigger::Scheduled, Until::Now, &output);
        let state = || StateDir::new(&arguments.state(), &app.name).load().ok();
        let interval = backoff::interval(app, state, Timestamp::now());
        // A push that waits for a window is deployed when the window opens.
        let opening = hold::until_opening(app, Timestamp::now());
        opening.map_or(interval, |opening| interval.min(opening + AFTER_OPENING))
    }) {
        Ok(()) => OK,
        Err(error) => {
            print_error(&format!("signals cannot be received: {error}"));
            FAILED
        }
    }
}

/// Forgets the passes of apps that are not configured any more.
fn forget(config: &Config, arguments: &Arguments) {
    if config.broken.is_empty() {
        passes::forget_others(&arguments.state(), &config.apps);
    }
}

/// Prints at the start which directories no deploy of this process can write, instead of failing in the
/// middle of the first deploy: a directory that is writable on the command line may be read-only in the
/// service's unit.
fn look(config: &Config) {
    for app in &config.apps {
        let root = place::look(&app.deploy.root).err();
        let environment = place::look_at_environment(&app.deploy.env);
        for why in root.into_iter().chain(environment) {
            print_error(&format!("{}: {why}", app.name));
        }
    }
}
