//! The client `pp-restart`: sends requests to the restarter, waits, and prints the results. The constants are
//! its exit codes.

mod args;
mod say;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use pp_protocol::{Answer, Client, ClientError, Outcome, UnitName, Verb};

use args::Args;
pub use args::client_command;
use say::OutputFormat;

/// The unit was restarted (or reloaded) and is active; or a try-restart left it stopped.
pub const OK: u8 = 0;
/// The restart (or reload) did not succeed, or its outcome is unknown.
pub const NOT_BACK: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 2;
/// The request is not allowed.
pub const DENIED: u8 = 3;
/// The restarter refused the request for now; it can be sent again later.
pub const BUSY: u8 = 4;
/// No restarter serves the socket, or the process that serves the socket is not root's.
pub const NO_RESTARTER: u8 = 5;

/// Runs the command line. With several units the exit code is the highest of the codes of the units.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::parse();
    let voice = OutputFormat { json: args.json };
    let client = Client::at(&args.socket).timeout(Duration::from_secs(args.timeout));
    ExitCode::from(if args.list {
        list(&client, voice)
    } else {
        act(&client, voice, &args)
    })
}

fn list(client: &Client, voice: OutputFormat) -> u8 {
    match client.list() {
        Ok(grants) => {
            voice.grants(&grants);
            if grants.is_empty() { DENIED } else { OK }
        }
        Err(error) => {
            voice.error(None, &error);
            code(&error)
        }
    }
}

fn act(client: &Client, voice: OutputFormat, args: &Args) -> u8 {
    let verb = match (args.reload, args.try_restart) {
        (true, _) => Verb::Reload,
        (false, true) => Verb::TryRestart,
        (false, false) => Verb::Restart,
    };
    let mut units = Vec::new();
    for name in &args.units {
        match UnitName::parse(name) {
            Ok(unit) => units.push(unit),
            Err(error) => {
                voice.bad_name(name, error);
                return USAGE;
            }
        }
    }
    let mut worst = OK;
    for unit in &units {
        let code = one(client, voice, verb, unit);
        worst = worst.max(code);
        if code == NO_RESTARTER {
            break;
        }
    }
    worst
}

fn one(client: &Client, voice: OutputFormat, verb: Verb, unit: &UnitName) -> u8 {
    match client.act(verb, unit) {
        Ok(Answer::Denied) => {
            voice.denied(verb, unit);
            DENIED
        }
        Ok(Answer::Busy(wait)) => {
            voice.busy(verb, unit, wait);
            BUSY
        }
        Ok(Answer::Finished(report)) => {
            voice.report(verb, unit, &report);
            match report.outcome(verb) {
                Outcome::Restarted | Outcome::Reloaded => OK,
                _ if report.left_stopped(verb) => OK,
                _ => NOT_BACK,
            }
        }
        Err(error) => {
            voice.error(Some(unit), &error);
            code(&error)
        }
    }
}

fn code(error: &ClientError) -> u8 {
    if error.outcome_unknown() {
        NOT_BACK
    } else {
        NO_RESTARTER
    }
}
