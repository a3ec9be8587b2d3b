//! `pp-fetcher history`: every attempt to deploy an app.

use serde::Serialize;

use super::args::Arguments;
use super::output::style::TextStyle;
use super::output::{print_error, say, say_json, words};
use super::status::SCHEMA;
use super::{FAILED, OK, one_app};
use crate::state::{EndedAttempt, StateDir};
use crate::util::duration::human;
use crate::util::text;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    app: &'a str,
    attempts: &'a [EndedAttempt],
}

/// Prints the attempts of one app, the oldest first.
pub(crate) fn history(arguments: &Arguments, app: &str, json: bool) -> u8 {
    if let Err(code) = one_app(arguments, app) {
        return code;
    }
    let attempts = match StateDir::new(&arguments.state(), app).history().read() {
        Ok(attempts) => attempts,
        Err(error) => {
            print_error(&format!("the history of {app} cannot be read: {error}"));
            return FAILED;
        }
    };
    if json {
        let document = Document {
            schema: SCHEMA,
            app,
            attempts: &attempts,
        };
        let text = serde_json::to_string_pretty(&document).unwrap_or_default();
        say_json(&format!("{text}\n"));
    } else if attempts.is_empty() {
        say(&format!("{app}: no attempt yet\n"));
    } else {
        let look = TextStyle::stdout();
        say(&attempts
            .iter()
            .map(|a| format_attempt(a, look))
            .collect::<String>());
    }
    OK
}

fn format_attempt(ended: &EndedAttempt, look: TextStyle) -> String {
    let attempt = &ended.attempt;
    let phases: Vec<_> = attempt
        .phases
        .iter()
        .map(|p| format!("{} {} ms", fit(&p.phase), p.ms))
        .collect();
    let mut text = format!(
        "#{} {}  {}  {}\n    {} \u{2014} {}\n    {}: {}\n",
        attempt.number,
        attempt.started_at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        look.paint(words::tone(ended.outcome), ended.outcome.as_str()),
        attempt.revision.short(),
        fit(&attempt.subject),
        fit(&attempt.author),
        human(attempt.total()),
        phases.join(", ")
    );
    if let Some(signer) = &attempt.signed_by {
        text.push_str(&format!("    signed by {}\n", fit(signer)));
    }
    for line in ended.reason.iter().flat_map(|reason| reason.lines()) {
        text.push_str(&format!("    {}\n", line.trim_end()));
    }
    text
}

/// Makes a field of the history file one line: a user who can write the file must not be able to add attempts
/// to the output.
fn fit(field: &str) -> String {
    text::line(field.as_bytes())
}
