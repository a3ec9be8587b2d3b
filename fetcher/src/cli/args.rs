//! The one definition that the parser, the help, the manual page and the completions come from.

use std::ffi::OsString;
use std::path::PathBuf;

use anstream::ColorChoice;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use super::adopt::args::{Adopt, AdoptForUser, MoveData};
use super::help;
use super::output::level::QuietOption;
use super::poll_options::Poll;
use super::setup::args::{Setup, SetupForUser};
use crate::account::{self, UserDirectories};

/// Deploys what is pushed: polls git, builds a release, switches to it, and goes back by itself
/// if the app is not well.
#[derive(Debug, Parser)]
#[command(name = "pp-fetcher", version, arg_required_else_help = true)]
#[command(max_term_width = 100, after_long_help = help::OUTPUT)]
pub(crate) struct Arguments {
    /// Whose apps, where users have their own in /etc/pp-fetcher/users/USER
    #[arg(long, global = true, value_name = "USER")]
    pub(super) user: Option<String>,

    /// Where the configuration is, instead of /etc/pp-fetcher
    // No default for the parser: it would name the option in the usage line of every mistake.
    #[arg(long, global = true, value_name = "DIR")]
    config: Option<PathBuf>,

    /// Where the state of each app is, instead of /var/lib/pp-fetcher
    #[arg(long, global = true, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Root has started this process, which has become the apps' user since
    #[arg(skip)]
    pub(super) by_root: bool,

    /// When there is colour
    #[arg(long, global = true, value_name = "WHEN")]
    color: Option<When>,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

impl Arguments {
    /// Where the configuration is.
    #[must_use]
    pub(crate) fn config(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| self.places().config)
    }

    /// Where the state of each app is.
    #[must_use]
    pub(crate) fn state(&self) -> PathBuf {
        self.state.clone().unwrap_or_else(|| self.places().state)
    }

    /// The words that say to another process of ours whose apps are meant.
    pub(super) fn for_another(&self) -> Vec<OsString> {
        let mut words = Vec::new();
        let mut word = |option: &str, value: Option<OsString>| {
            words.extend(value.into_iter().flat_map(|value| [option.into(), value]));
        };
        word("--user", self.user.clone().map(Into::into));
        word("--config", Some(self.config().into()));
        word("--state", Some(self.state().into()));
        words
    }

    /// Whether the apps are those of a user who has a configuration of its own.
    pub(super) fn is_of_a_users_own(&self) -> bool {
        self.config().starts_with(account::USERS)
    }

    /// Whether the command line itself names a directory of configuration or state.
    pub(super) fn names_a_directory(&self) -> bool {
        self.config.is_some() || self.state.is_some()
    }

    /// Options that say where everything is, as far as the command line does not.
    pub(super) fn places_not_said(&self) -> Vec<OsString> {
        let mut words = Vec::new();
        if self.config.is_none() {
            words.extend(["--config".into(), self.config().into_os_string()]);
        }
        if self.state.is_none() {
            words.extend(["--state".into(), self.state().into_os_string()]);
        }
        words
    }

    fn places(&self) -> UserDirectories {
        let user = self.user.clone().or_else(account::own_name);
        UserDirectories::of(user.as_deref())
    }

    /// When there is colour.
    #[must_use]
    pub(crate) fn color(&self) -> When {
        self.color.unwrap_or_default()
    }
}

/// When there is colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal, unless NO_COLOR is set; so it is when nothing is said
    #[default]
    Auto,
    /// Into a file or a pipe as well
    Always,
    /// Not at all
    Never,
}

impl When {
    /// From now on it is so.
    pub(super) fn apply(self) {
        let choice = match self {
            Self::Auto => ColorChoice::Auto,
            Self::Always => ColorChoice::Always,
            Self::Never => ColorChoice::Never,
        };
        choice.write_global();
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// One pass over every app, or those named; for cron
    ///
    /// Exit status: 0 nothing new, or all deployed, or left to another pass that is at work; 1 an app
    /// failed; 2 the command line or the configuration is wrong.
    #[command(after_long_help = help::POLL)]
    Poll(Poll),
    /// The service: every app at its interval
    #[command(after_long_help = help::RUN)]
    Run(QuietOption),
    /// What is live, since when, what is being done, and what is held back
    ///
    /// Exit status: 0 every app is as it should be, or is held, paused or new; 1 one is failing, stuck or
    /// unreadable; 2 the command line or the configuration is wrong.
    #[command(after_long_help = help::STATUS)]
    Status {
        /// Only this app
        #[arg(value_name = "APP")]
        app: Option<String>,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Look at every link from the configuration to the app that answers, and say what to do
    ///
    /// Exit status: 0 no link is broken, warnings or not; 1 one is; 2 the command line or the
    /// configuration is wrong.
    #[command(after_long_help = help::DOCTOR)]
    Doctor(Doctor),
    /// Make all that a new app needs on this host; as root
    ///
    /// Without a terminal the options are all it needs; on one it asks for what they leave out, and shows every
    /// file before it is written. What fails can be run again. Exit status: 0 all is made; 1 something could not
    /// be made; 2 the command line is wrong, or a file is in the way.
    #[command(after_long_help = help::SETUP)]
    Setup(Box<Setup>),
    /// Take over an app that is checked out in place and deployed by a script; as root
    ///
    /// Finds repository, branch, key, unit and data by looking, makes a release of the very commit that is live,
    /// and goes over to it with one restart. Without a terminal it goes ahead where nothing is ambiguous, and says
    /// what it would need where something is. Exit status: 0 the app runs from its release; 1 it does not, and is
    /// as it was; 2 something has to be said, or is in the way.
    #[command(after_long_help = help::ADOPT)]
    Adopt(Box<Adopt>),
    /// For `adopt` alone: what the apps' user does
    #[command(hide = true)]
    AdoptForUser(AdoptForUser),
    /// For a unit of an adopted app: what is done before it starts
    #[command(hide = true)]
    MoveData(MoveData),
    /// For `setup` alone: what the apps' user makes
    #[command(hide = true)]
    SetupForUser(SetupForUser),
    /// Why an app is as it is: the last decision, what it rests on, and what would change it
    #[command(after_long_help = help::WHY)]
    Why {
        /// The app
        #[arg(value_name = "APP")]
        app: String,
        /// Why this commit was deployed, or not: its first digits
        #[arg(value_name = "REVISION")]
        revision: Option<String>,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Every attempt to deploy an app
    #[command(after_long_help = help::HISTORY)]
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
        /// Also where that crosses files that `migrations` of the app's file names
        #[arg(long)]
        yes: bool,
    },
    /// Lift the quarantine, and give up a way back that fails: the next poll tries what is followed
    Retry {
        /// The app
        #[arg(value_name = "APP")]
        app: String,
    },
    /// Let one revision go live although history was rewritten
    ///
    /// With `fast_forward_only` a revision that does not descend from the live one is refused. This
    /// accepts exactly one such revision, lifts its quarantine, and holds until it or another one is
    /// live. Everything else is still asked of it, its signature included.
    AcceptRewrite {
        /// The app
        #[arg(value_name = "APP")]
        app: String,
        /// The revision, as the refusal named it: all its digits, or the first seven or more of one
        /// that is held back
        #[arg(value_name = "REVISION")]
        revision: String,
    },
    /// Show or pin the key by which the forge is known
    #[command(subcommand)]
    Hostkey(Hostkey),
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
    /// Deploy nothing new, of one app or of all, and go on asking what there is
    ///
    /// Unlike a pause: the forge is asked as ever, and what waits is shown. `rollback`, `retry`, `redeploy` and
    /// `poll --force` work all the same, and are recorded.
    Freeze {
        /// The app; all apps unless given
        #[arg(value_name = "APP")]
        app: Option<String>,
        /// Why, for those who wonder
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// How long (2h, 3d) or until when (2026-12-24T18:00:00Z); until `thaw` unless given
        #[arg(long, value_name = "WHEN")]
        until: Option<String>,
    },
    /// End a freeze of one app, or the one of all
    Thaw {
        /// The app; the freeze of all apps unless given
        #[arg(value_name = "APP")]
        app: Option<String>,
    },
    /// Make a new release of the live revision: the next poll does it
    ///
    /// For what changes without a commit: a file of variables, the app's file, a unit.
    Redeploy {
        /// The app
        #[arg(value_name = "APP")]
        app: String,
    },
    /// End a pause
    Resume {
        /// The app
        #[arg(value_name = "APP")]
        app: String,
    },
}

/// What `hostkey` does.
#[derive(Debug, Subcommand)]
pub(crate) enum Hostkey {
    /// What the server offers, what is pinned, and where; changes nothing
    ///
    /// Exit status: 0 one of the offered keys is pinned; 1 none is, or the server does not answer.
    Show {
        /// The app
        #[arg(value_name = "APP")]
        app: String,
        /// The server of this submodule instead
        #[arg(long, value_name = "PATH")]
        submodule: Option<PathBuf>,
        /// For `pin` as root: one JSON object to standard output, the text to standard error
        #[arg(long, hide = true)]
        machine: bool,
        /// The same without the text
        #[arg(long, hide = true)]
        silent: bool,
    },
    /// Pin the key that the server offers, in place of those it no longer does
    ///
    /// Nothing is trusted unseen: the fingerprint must be given, or typed on a terminal, as the
    /// forge publishes it.
    Pin {
        /// The app
        #[arg(value_name = "APP")]
        app: String,
        /// The fingerprint that the forge publishes
        #[arg(long, value_name = "SHA256:…")]
        fingerprint: Option<String>,
        /// The server of this submodule instead
        #[arg(long, value_name = "PATH")]
        submodule: Option<PathBuf>,
    },
}

/// What `doctor` is told.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Only this app
    #[arg(value_name = "APP")]
    pub app: Option<String>,
    /// For programs
    #[arg(long)]
    pub json: bool,
    /// What root has found, in JSON
    #[arg(long, hide = true)]
    pub by_root: Option<String>,
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
