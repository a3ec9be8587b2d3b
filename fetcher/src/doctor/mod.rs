//! The doctor: looks at every link of the chain from the configuration to the app that answers, and tells the
//! condition of each, with the remedy of each fault. It changes nothing, takes no lock, and deploys nothing.
//!
//! - [`account`]: the user and the groups that this process has.
//! - [`forge`]: the key, the server, the branch, the submodules; and that the key cannot push.
//! - [`host`]: the directories, the disk, the clock, the build script, the shared paths.
//! - [`app`]: the restarter, the units, the live release, and what holds deploys back. [`units`]: what systemd's own
//!   view of the units does not show. [`reach`]: whether another user can reach a file.
//! - [`cron`]: whether cron finds pp-fetcher, where cron polls.
//! - [`old_way`]: what a makeshift with cron and sudo has left behind.
//! - [`sandbox`]: how root starts the doctor inside of the service's own sandbox.
//!
//! The look step of a deploy (`deploy::look`) asks the same functions, but ends at the first fault. What only the
//! fetched revision shows, its signature and its tree, the doctor does not see.

mod account;
mod app;
mod cron;
mod forge;
mod host;
pub(crate) mod old_way;
mod reach;
pub(crate) mod sandbox;
mod units;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::App;
use crate::state::{State, StateDir};
use old_way::LeftOver;

/// The condition of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Condition {
    /// The link holds.
    Ok,
    /// The link holds, but somebody should know this.
    Warning,
    /// The link is broken: the next deploy fails, or the app does not answer.
    Fault,
    /// The link could not be looked at, or this app does not have the link.
    Skipped,
}

/// The doctor's finding about one link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// The link's name, the same in every release of pp-fetcher.
    pub link: &'static str,
    /// The link's condition.
    pub condition: Condition,
    /// The finding in a sentence.
    pub text: String,
    /// What to do about the finding, a line each.
    pub remedy: Vec<String>,
}

impl Finding {
    fn ok(link: &'static str, text: impl Into<String>) -> Self {
        Self::new(link, Condition::Ok, &text.into())
    }

    fn warning(link: &'static str, message: impl Into<String>) -> Self {
        Self::new(link, Condition::Warning, &message.into())
    }

    fn fault(link: &'static str, message: impl Into<String>) -> Self {
        Self::new(link, Condition::Fault, &message.into())
    }

    fn skipped(link: &'static str, text: impl Into<String>) -> Self {
        Self::new(link, Condition::Skipped, &text.into())
    }

    /// Messages of the other modules have the remedy in the lines after the first.
    fn new(link: &'static str, condition: Condition, message: &str) -> Self {
        let mut lines = message.lines();
        Self {
            link,
            condition,
            text: lines.next().unwrap_or_default().to_owned(),
            remedy: lines.map(|line| line.trim().to_owned()).collect(),
        }
    }

    /// A fault with this message, or else the finding that all is well.
    fn of(link: &'static str, checked: Result<String, String>) -> Self {
        match checked {
            Ok(text) => Self::ok(link, text),
            Err(message) => Self::fault(link, message),
        }
    }
}

/// The surroundings of an app that the doctor looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    /// All apps of the configuration.
    pub apps: &'a [App],
    /// The directory of the state of all apps.
    pub states: &'a Path,
    /// What root has found, if root has started this process.
    pub by_root: Option<&'a ByRoot>,
}

/// What root finds, and the apps' user cannot.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct ByRoot {
    /// The unit of the service that polls these apps, if one does; this process runs in its sandbox then.
    pub unit: Option<String>,
    /// What is left of the old way.
    pub left_over: Vec<LeftOver>,
}

/// Looks at every link of `app`, and hands each finding to `tell` as soon as the link was looked at.
pub(crate) fn examine(app: &App, around: Surroundings<'_>, tell: &mut dyn FnMut(Finding)) {
    let Surroundings {
        apps,
        states,
        by_root,
    } = around;
    let dir = StateDir::new(states, &app.name);
    account::look(by_root, tell);
    tell(Finding::ok(
        "configuration",
        format!(
            "{} is {} in {}",
            app.path.display(),
            app.repository,
            app.deploy.root.display()
        ),
    ));
    let state = match dir.load() {
        Ok(state) => {
            tell(host::state_directory(&states.join(&app.name), states));
            Some(state)
        }
        Err(error) => {
            tell(Finding::fault("state", error.to_string()));
            None
        }
    };
    let state = state.as_ref();
    let held: &[_] = state.map_or(&[], |state: &State| &state.passed_over);
    forge::look(app, apps, &dir, held, tell);
    host::look(app, states, state, tell);
    app::look(app, state, tell);
    if let Some(unit) = by_root.and_then(|by_root| by_root.unit.as_deref()) {
        units::service(unit, tell);
    }
    cron::look(tell);
    old_way::look(
        app,
        by_root.map(|by_root| by_root.left_over.as_slice()),
        tell,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_after_the_first_are_the_remedy() {
        let finding = Finding::fault("disk", "it is full\n  make room\n  or take another");
        assert_eq!(finding.text, "it is full");
        assert_eq!(finding.remedy, ["make room", "or take another"]);
        let json = serde_json::to_string(&finding).unwrap();
        assert!(json.contains(r#""condition":"fault""#), "{json}");
    }
}
