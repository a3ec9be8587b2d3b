//! What `poll --json` prints: one object a line.

use serde::Serialize;

use crate::deploy::Verdict;
use crate::pass::{Done, Error};
use crate::revision::Revision;
use crate::state::{Attempt, Pause, Quarantine, Trouble};

#[derive(Serialize)]
struct Line<'a> {
    app: &'a str,
    #[serde(flatten)]
    result: Result<'a>,
}

#[derive(Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
enum Result<'a> {
    /// Another pass is at work.
    Busy,
    /// The live revision is what is followed.
    Nothing { revision: &'a Revision },
    /// What is followed is quarantined.
    Held { quarantine: &'a Quarantine },
    /// The app is paused.
    Paused { pause: &'a Pause },
    /// The last polls failed, and it is too early to try again.
    Waiting { trouble: &'a Trouble },
    /// An attempt was made.
    Attempted { attempt: &'a Attempt },
    /// Nothing could be attempted.
    Error { error: String },
}

/// One app's line.
pub(super) fn line(app: &str, done: &std::result::Result<Done<Verdict>, Error>) -> String {
    let result = match done {
        Ok(Done::Busy) => Result::Busy,
        Ok(Done::Came(Verdict::Nothing(revision))) => Result::Nothing { revision },
        Ok(Done::Came(Verdict::Held(quarantine))) => Result::Held { quarantine },
        Ok(Done::Came(Verdict::Paused(pause))) => Result::Paused { pause },
        Ok(Done::Came(Verdict::Waiting(trouble))) => Result::Waiting { trouble },
        Ok(Done::Came(Verdict::Attempted(attempt))) => Result::Attempted { attempt },
        Err(error) => Result::Error {
            error: error.to_string(),
        },
    };
    // Only strings and numbers: this cannot fail.
    serde_json::to_string(&Line { app, result }).unwrap_or_default()
}
