//! The output of `poll --json`: one JSON object a line.

use std::time::Duration;

use serde::Serialize;

use super::{PassReporter, PassResult, say_json};
use crate::deploy::dry_run::DryRun;
use crate::deploy::{Reporter, Step, Verdict};
use crate::pass::{Error, Pass};
use crate::revision::Revision;
use crate::schedule::hold::Hold;
use crate::state::{EndedAttempt, FailedPolls, Pause, Quarantine, Release};

#[derive(Serialize)]
struct Line<'a> {
    app: &'a str,
    #[serde(flatten)]
    result: Result<'a>,
}

#[derive(Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
enum Result<'a> {
    /// Another pass over the app is running.
    Busy,
    /// The followed revision is live already.
    Nothing { revision: &'a Revision },
    /// The followed revision changes none of the app's `paths`.
    Unchanged {
        revision: &'a Revision,
        live: &'a Revision,
    },
    /// The followed revision is quarantined.
    Held { quarantine: &'a Quarantine },
    /// `current` points at another release than the one that was deployed.
    Switched { live: &'a Release, current: &'a str },
    /// The app is paused.
    Paused { pause: &'a Pause },
    /// A freeze or a window holds the followed revision.
    Waits {
        revision: &'a Revision,
        hold: &'a Hold,
    },
    /// The last polls failed, and it is too early to try again.
    Waiting { trouble: &'a FailedPolls },
    /// An attempt was made.
    Attempted { attempt: &'a EndedAttempt },
    /// The pass failed before an attempt could begin.
    Error { error: String },
}

#[derive(Serialize)]
struct DryRunLine<'a> {
    app: &'a str,
    #[serde(flatten)]
    would: DryRunFields<'a>,
}

#[derive(Serialize)]
#[serde(tag = "would", rename_all = "kebab-case")]
enum DryRunFields<'a> {
    /// Another pass over the app is running.
    Busy,
    /// An attempt that was cut short would be resumed.
    GoOn { revision: &'a Revision },
    /// The way back of an earlier attempt has failed, and would be tried again.
    GoBack { revision: &'a Revision },
    /// Nothing would be done; `why` is the same object as that of a pass.
    DoNothing {
        #[serde(flatten)]
        why: Result<'a>,
    },
    /// The revision would be deployed.
    Deploy {
        revision: &'a Revision,
        live: Option<&'a Revision>,
        remarks: &'a [String],
    },
    /// The revision would be tried, and could not be deployed.
    Fail { revision: &'a Revision, why: String },
    /// The pass would fail before an attempt could begin, for example because the forge does not answer.
    Error { error: String },
}

impl<'a> From<&'a Verdict> for Result<'a> {
    fn from(verdict: &'a Verdict) -> Self {
        match verdict {
            Verdict::Nothing(revision) => Self::Nothing { revision },
            Verdict::Unchanged { revision, live } => Self::Unchanged { revision, live },
            Verdict::Held(quarantine) => Self::Held { quarantine },
            Verdict::Switched { live, current } => Self::Switched { live, current },
            Verdict::Paused(pause) => Self::Paused { pause },
            Verdict::Waits { revision, hold } => Self::Waits { revision, hold },
            Verdict::Waiting(trouble) => Self::Waiting { trouble },
            Verdict::Attempted(attempt) => Self::Attempted { attempt },
        }
    }
}

fn line(app: &str, ended: &PassResult) -> String {
    let result = match ended {
        Ok(Pass::Busy) => Result::Busy,
        Ok(Pass::Completed(verdict)) => verdict.into(),
        Err(error) => Result::Error {
            error: error.to_string(),
        },
    };
    written(&Line { app, result })
}

/// Prints one app's line of a dry run.
pub(crate) fn foretold(app: &str, foreseen: &std::result::Result<Pass<DryRun>, Error>) {
    let would = match foreseen {
        Ok(Pass::Busy) => DryRunFields::Busy,
        Ok(Pass::Completed(DryRun::GoOn(revision))) => DryRunFields::GoOn { revision },
        Ok(Pass::Completed(DryRun::GoBack(revision))) => DryRunFields::GoBack { revision },
        Ok(Pass::Completed(DryRun::Nothing(verdict))) => DryRunFields::DoNothing {
            why: verdict.into(),
        },
        Ok(Pass::Completed(DryRun::Deploy {
            revision,
            obstacle: Some(why),
            ..
        })) => DryRunFields::Fail {
            revision,
            why: why.to_string(),
        },
        Ok(Pass::Completed(DryRun::Deploy {
            revision,
            live,
            looked,
            ..
        })) => DryRunFields::Deploy {
            revision,
            live: live.as_ref(),
            remarks: &looked.remarks,
        },
        Err(error) => DryRunFields::Error {
            error: error.to_string(),
        },
    };
    say_json(&format!("{}\n", written(&DryRunLine { app, would })));
}

fn written(line: &impl Serialize) -> String {
    // The line has only strings and numbers, so serializing it cannot fail.
    serde_json::to_string(line).unwrap_or_default()
}

/// Reports nothing until the pass has ended, and then all of it in one line.
pub(super) struct Json;

impl Reporter for Json {
    fn begins(&mut self, _app: &str, _revision: &Revision, _what: &str) {}
    fn step(&mut self, _app: &str, _step: Step, _took: Duration, _well: bool) {}
    fn note(&mut self, _app: &str, _text: &str) {}
}

impl PassReporter for Json {
    fn report_result(&mut self, app: &str, ended: &PassResult) {
        say_json(&format!("{}\n", line(app, ended)));
    }
}
