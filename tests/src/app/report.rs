//! What `status --json` and `history --json` print, version 1, as a program reads it.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// Version of the shape.
const SCHEMA: u32 = 1;

#[derive(Deserialize)]
struct StatusReport {
    schema: u32,
    apps: Vec<Status>,
}

/// One app.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Status {
    /// Its name.
    pub app: String,
    /// `ok`, `new`, `quarantined` or `failing`.
    pub state: String,
    /// What is deployed.
    pub live: Option<Live>,
    /// What is not tried again.
    pub quarantined: Vec<Quarantined>,
    /// The last attempt.
    pub last: Option<Last>,
}

/// The deployed release.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Live {
    /// The commit's id, 40 hexadecimal digits.
    pub revision: String,
    /// The directory's name.
    pub release: String,
    /// When it was found good, as RFC 3339.
    pub deployed_at: String,
}

/// A revision that is not tried again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Quarantined {
    /// The commit's id.
    pub revision: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: String,
}

/// The last attempt, in a status.
pub type Last = Attempt;

/// `history --json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct History {
    schema: u32,
    app: String,
    attempts: Vec<Attempt>,
}

/// One attempt to deploy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Attempt {
    /// Its number, counted from 1.
    pub attempt: u64,
    /// When it began.
    pub started_at: String,
    /// The commit's id.
    pub revision: String,
    /// The id of what was deployed before.
    pub previous: Option<String>,
    /// Who made the commit.
    pub author: String,
    /// The first line of its message.
    pub subject: String,
    /// `good`, `refused`, `failed`, `rolled-back` or `stuck`.
    pub outcome: String,
    /// Why it is not good.
    pub reason: Option<String>,
    /// The directory's name.
    pub release: Option<String>,
    /// Its steps, in order.
    pub phases: Vec<Phase>,
}

/// One step of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Phase {
    /// `poll`, `fetch`, `verify`, … `probe`; `back-…` on the way back.
    pub phase: String,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

impl Attempt {
    /// How long a phase took, in milliseconds, if it was reached.
    #[must_use]
    pub fn phase(&self, name: &str) -> Option<u64> {
        self.phases
            .iter()
            .find(|phase| phase.phase == name)
            .map(|phase| phase.ms)
    }

    /// The phases' names, in order.
    #[must_use]
    pub fn phase_names(&self) -> Vec<&str> {
        self.phases
            .iter()
            .map(|phase| phase.phase.as_str())
            .collect()
    }
}

pub(super) fn status(json: &str, app: &str) -> Result<Status> {
    let report: StatusReport = parse(json)?;
    ensure!(report.schema == SCHEMA, "schema {}", report.schema);
    let found = report.apps.into_iter().find(|status| status.app == app);
    found.with_context(|| format!("{app} is not in the status: {json}"))
}

pub(super) fn history(json: &str, app: &str) -> Result<Vec<Attempt>> {
    let history: History = parse(json)?;
    ensure!(
        history.schema == SCHEMA && history.app == app,
        "not {app}'s: {json}"
    );
    Ok(history.attempts)
}

fn parse<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T> {
    serde_json::from_str(json).with_context(|| format!("not the documented shape: {json}"))
}
