//! `pp-fetcher run`: the service.

use super::args::Arguments;
use super::output::Output;
use super::output::level::Quiet;
use super::{FAILED, OK, load, poll};
use crate::deploy::Urge;
use crate::service;

/// Serves until told to stop.
pub fn run(arguments: &Arguments, quiet: Quiet) -> u8 {
    let config = match load(arguments.config()) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let output = Output::choose(quiet.into());
    let reload = || load(arguments.config()).ok();
    match service::run(config, reload, |app| {
        poll::one(app, arguments, Urge::Scheduled, &output);
    }) {
        Ok(()) => OK,
        Err(error) => {
            eprintln!("pp-fetcher: signals cannot be received: {error}");
            FAILED
        }
    }
}
