//! The one definition that the parser, the help, the manual page and the completions come from.

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};

use crate::{config, state};

/// Deploys what is pushed: polls git, builds a release, switches to it, and goes back by itself
/// if the app is not well.
#[derive(Debug, Parser)]
#[command(name = "pp-fetcher", version, arg_required_else_help = true)]
pub struct Arguments {
    /// Where the configuration is
    #[arg(long, global = true, value_name = "DIR", default_value = config::DIRECTORY)]
    pub config: PathBuf,

    /// Where the state of each app is
    #[arg(long, global = true, value_name = "DIR", default_value = state::store::DIRECTORY)]
    pub state: PathBuf,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// One pass over every app, or those named; for cron
    ///
    /// Exit status: 0 nothing new, or all deployed, or another pass is at work; 1 an app failed;
    /// 2 the command line or the configuration is wrong.
    Poll {
        /// Only these apps
        #[arg(value_name = "APP")]
        apps: Vec<String>,
    },
    /// The service: every app at its interval
    Run,
    /// What is live, since when, and what is held back
    Status {
        /// Only this app
        #[arg(value_name = "APP")]
        app: Option<String>,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Every attempt to deploy an app
    History {
        /// The app
        #[arg(value_name = "APP")]
        app: String,
        /// For programs
        #[arg(long)]
        json: bool,
    },
}

/// The definition, for manual pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_definition_is_consistent() {
        super::command().debug_assert();
    }
}
