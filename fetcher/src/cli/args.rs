//! The one definition that the parser, the help, the manual page and the completions come from.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::deploy::Urge;
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
    Poll(Poll),
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
    /// The output of an attempt's build script and hooks
    Logs {
        /// The app
        #[arg(value_name = "APP")]
        app: String,
        /// The attempt's number, as `history` shows it; the latest with output unless given
        #[arg(value_name = "ATTEMPT")]
        attempt: Option<u64>,
    },
    /// Back to the last good release, or to one named; what is left is quarantined
    Rollback {
        /// The app
        #[arg(value_name = "APP")]
        app: String,
        /// A release's directory name, or the first digits of its revision
        #[arg(value_name = "RELEASE")]
        release: Option<String>,
    },
    /// Lift the quarantine: the next poll tries what is followed again
    Retry {
        /// The app
        #[arg(value_name = "APP")]
        app: String,
    },
    /// Deploy nothing new for a while
    Pause {
        /// The app
        #[arg(value_name = "APP")]
        app: String,
        /// Why, for those who wonder
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// How long (2h, 3d) or until when (2026-12-24T18:00:00Z); until `resume` unless given
        #[arg(long, value_name = "WHEN")]
        until: Option<String>,
    },
    /// End a pause
    Resume {
        /// The app
        #[arg(value_name = "APP")]
        app: String,
    },
}

/// What `poll` is told.
#[derive(Debug, Args)]
pub struct Poll {
    /// Only these apps
    #[arg(value_name = "APP")]
    pub apps: Vec<String>,
    /// Say what would be done, and why not; change nothing
    #[arg(long, conflicts_with = "force")]
    pub dry_run: bool,
    /// Deploy even what is live already, quarantined or paused
    #[arg(long)]
    pub force: bool,
    /// One JSON object a line, one line an app
    #[arg(long)]
    pub json: bool,
}

impl Poll {
    /// A poll that names its apps, or is typed at a terminal, is somebody's who wants to see it now.
    pub(super) fn urge(&self) -> Urge {
        match (
            self.force,
            self.apps.is_empty() && !std::io::stdout().is_terminal(),
        ) {
            (true, _) => Urge::Forced,
            (false, true) => Urge::Scheduled,
            (false, false) => Urge::Asked,
        }
    }
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
