//! `pp-fetcher run`: the service.

use super::args::Arguments;
use super::{FAILED, OK, load, poll};
use crate::deploy::Urge;
use crate::service;

/// Serves until told to stop.
pub fn run(arguments: &Arguments) -> u8 {
    let config = match load(&arguments.config) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let reload = || load(&arguments.config).ok();
    match service::run(config, reload, |app| {
        poll::by_lines(app, arguments, Urge::Scheduled);
    }) {
        Ok(()) => OK,
        Err(error) => {
            eprintln!("pp-fetcher: signals cannot be received: {error}");
            FAILED
        }
    }
}
