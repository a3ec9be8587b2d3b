//! The command line of `pp-restart`. Its help, the man page and the completions are all made from the types and
//! `///` comments of this file, so changing such a comment changes what users read.

use std::path::PathBuf;

use clap::{CommandFactory, Parser};
use pp_protocol::SOCKET;
use pp_protocol::client::DEFAULT_TIMEOUT;

/// Restarts systemd units that you are allowed to restart, without sudo.
///
/// Waits until systemd is done, then says whether the unit is active in a new invocation.
#[derive(Debug, Parser)]
#[command(name = "pp-restart", version, max_term_width = 100, after_help = EXIT)]
pub(super) struct Args {
    /// Whole names of the units, such as gunicorn.todo_django.service
    #[arg(value_name = "UNIT", required_unless_present = "list")]
    pub(super) units: Vec<String>,

    /// Have them read their configuration again, instead of restarting them
    #[arg(long)]
    pub(super) reload: bool,

    /// Restart only those that run, and leave alone what is stopped
    #[arg(long, conflicts_with = "reload")]
    pub(super) try_restart: bool,

    /// List what you may do, and do nothing
    #[arg(long, conflicts_with_all = ["units", "reload", "try_restart"])]
    pub(super) list: bool,

    /// Write one JSON object for each unit (or each entry of the list) to standard output
    #[arg(long)]
    pub(super) json: bool,

    /// How long to wait for the end of each restart, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_TIMEOUT.as_secs(),
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(super) timeout: u64,

    /// Another socket than the restarter's own; it must be served by root
    #[arg(long, value_name = "PATH", default_value = SOCKET, hide = true)]
    pub(super) socket: PathBuf,
}

const EXIT: &str = "\
Exit status:
  0  restarted (or reloaded) and active; with --try-restart also: it does not run, and was left so
  1  it did not come back, or the outcome is unknown
  2  the command line is wrong
  3  not allowed
  4  too many requests: try again after the time that is printed
  5  no restarter, or one that is not root's
With several units: the highest of theirs.";

/// Returns the definition of the command line.
#[must_use]
pub fn client_command() -> clap::Command {
    Args::command()
}
