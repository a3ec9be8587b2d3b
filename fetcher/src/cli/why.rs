//! `pp-fetcher why APP [REVISION]`: the last decision, what it rests on, and what would change it.

use jiff::Timestamp;
use serde::Serialize;

use super::args::Arguments;
use super::control::on;
use super::output::{print_error, say, say_json};
use super::status::ago;
use super::{OK, USAGE};
use crate::report::passes;
use crate::report::standing::status_of;
use crate::report::why::{Facts, Why};
use crate::state::StateDir;
use crate::util::text;

/// Version of the JSON.
const SCHEMA: u32 = 1;

/// Fewer digits of a revision are likely a typing error.
const FEWEST: usize = 4;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    app: &'a str,
    #[serde(flatten)]
    why: &'a Why,
}

/// Prints why. Gives the exit code.
pub(crate) fn why(arguments: &Arguments, app: &str, revision: Option<&str>, json: bool) -> u8 {
    if let Some(written) = revision {
        let digits = written.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !digits || written.len() < FEWEST || written.len() > 40 {
            print_error(&format!(
                "`{written}` is no revision: write the first digits of a commit's id, at least {FEWEST}"
            ));
            return USAGE;
        }
    }
    on(arguments, app, |app| {
        let base = arguments.state();
        let dir = StateDir::new(&base, &app.name);
        // Read once: a pass that ends meanwhile must not make an answer of two states.
        let attempts = dir.history().read().unwrap_or_default();
        let loaded = dir.load();
        let state = loaded.as_ref().ok().cloned().unwrap_or_default();
        let status = status_of(app, &base, loaded, attempts.clone());
        let note = passes::read(&base, &app.name);
        let facts = Facts {
            app,
            state: &state,
            status: &status,
            note: note.as_ref(),
            attempts: &attempts,
        };
        let why = match revision {
            Some(written) => facts.of_revision(&written.to_ascii_lowercase()),
            None => facts.last_decision(),
        };
        if json {
            let document = Document {
                schema: SCHEMA,
                app: &app.name,
                why: &why,
            };
            let text = serde_json::to_string_pretty(&document).unwrap_or_default();
            say_json(&format!("{text}\n"));
        } else {
            say(&format_why(&app.name, revision, &why, Timestamp::now()));
        }
        OK
    })
}

fn format_why(app: &str, revision: Option<&str>, why: &Why, now: Timestamp) -> String {
    let of = revision
        .map(|revision| format!(" {revision}"))
        .unwrap_or_default();
    let when = why.at.filter(|_| revision.is_none());
    let when = when
        .map(|at| format!(" ({})", ago(at, now)))
        .unwrap_or_default();
    let fit = |text: &str| text::line(text.as_bytes());
    let mut out = format!("{app}{of}: {}{when}\n", fit(&why.decision));
    for (name, value) in &why.rests_on {
        out.push_str(&format!("  {name:<14}{}\n", fit(value)));
    }
    if !why.would_change.is_empty() {
        out.push_str("what would change that:\n");
    }
    for change in &why.would_change {
        out.push_str(&format!("  {}\n", fit(change)));
    }
    out
}
