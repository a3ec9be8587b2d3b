//! What `poll` is told on its command line, and what follows from that.

use std::io::IsTerminal;

use clap::Args;

use super::output::level::QuietOption;
use super::patience::Until;
use crate::deploy::Trigger;

/// What `poll` is told.
#[derive(Debug, Args)]
pub(crate) struct Poll {
    /// Only these apps
    #[arg(value_name = "APP")]
    pub apps: Vec<String>,
    /// Say what would be done, and why not; change nothing. Exit status 1: it would fail
    #[arg(long, conflicts_with = "force")]
    pub dry_run: bool,
    /// Deploy even what is live already, quarantined or paused
    #[arg(long)]
    pub force: bool,
    /// One JSON object a line, one line an app
    #[arg(long)]
    pub json: bool,
    /// While another pass is at work on an app, show what that pass does, and poll after it; so does a
    /// poll at a terminal, or with --force
    #[arg(long)]
    pub wait: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a comment here would replace that of `poll`")]
    pub quiet: QuietOption,
}

impl Poll {
    /// A poll that names its apps, or is typed at a terminal, is somebody's who wants to see it now.
    pub(super) fn trigger(&self) -> Trigger {
        match (self.force, self.apps.is_empty() && !is_typed()) {
            (true, _) => Trigger::Forced,
            (false, true) => Trigger::Scheduled,
            (false, false) => Trigger::Requested,
        }
    }

    /// How long another pass is waited for. cron polls again by itself, and its polls must not pile up behind a long
    /// build; a person would take a poll that has left for a poll that has deployed.
    pub(super) fn until(&self) -> Until {
        match self.wait || self.force || is_typed() {
            true => Until::PassEnds,
            false => Until::Now,
        }
    }
}

/// Whether a person reads the output as it comes.
fn is_typed() -> bool {
    std::io::stdout().is_terminal()
}
