//! Lines about a pass: for a terminal, for a log file, for the journal.

use std::io::IsTerminal;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::duration::human;
use crate::deploy::foresee::Foreseen;
use crate::deploy::{Phase, Reporter, Verdict};
use crate::state::{Attempt, Outcome, Pause};

/// Writes one line for everything that happens.
#[derive(Debug, Clone)]
pub struct Lines {
    stamped: bool,
}

impl Lines {
    /// Lines for standard output: with the time where nobody else adds it.
    #[must_use]
    pub fn stdout() -> Self {
        let journal = std::env::var_os("JOURNAL_STREAM").is_some();
        Self {
            stamped: !std::io::stdout().is_terminal() && !journal,
        }
    }

    /// Writes a line about `app`.
    pub fn line(&self, app: &str, text: &str) {
        let stamp = if self.stamped {
            format!("{} ", Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ"))
        } else {
            String::new()
        };
        // A closed pipe must not end a deploy half-way.
        let _ = std::io::Write::write_all(
            &mut std::io::stdout().lock(),
            format!("{stamp}{app}: {text}\n").as_bytes(),
        );
    }

    /// Writes what a pass came to.
    pub fn verdict(&self, app: &str, verdict: &Verdict) {
        self.line(app, &told(verdict));
    }
}

impl Reporter for Lines {
    fn begins(&mut self, app: &str, revision: &str, subject: &str) {
        self.line(
            app,
            &format!("deploying {revision} \u{201c}{subject}\u{201d}"),
        );
    }

    fn step(&mut self, app: &str, phase: Phase, took: Duration, well: bool) {
        let mark = if well { "" } else { "  failed" };
        self.line(app, &format!("  {phase:<12} {:>8}{mark}", human(took)));
    }

    fn note(&mut self, app: &str, text: &str) {
        self.line(app, &format!("  {text}"));
    }
}

/// What a pass came to, in a line or a few.
#[must_use]
pub fn told(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Nothing(revision) => format!("nothing new, {} is live", revision.short()),
        Verdict::Held(quarantine) => format!(
            "nothing new, {} is held back since {}: {}",
            quarantine.revision.short(),
            quarantine.at.strftime("%Y-%m-%d %H:%M UTC"),
            first_line(&quarantine.reason)
        ),
        Verdict::Paused(pause) => paused(pause),
        Verdict::Waiting(trouble) => format!(
            "not asked again yet after {} failures in a row; a poll that names the app asks at once: {}",
            trouble.count,
            first_line(&trouble.reason)
        ),
        Verdict::Attempted(attempt) => attempted(attempt),
    }
}

/// What a pass would do, in a line or a few.
#[must_use]
pub fn foreseen(foreseen: &Foreseen) -> String {
    match foreseen {
        Foreseen::GoOn(revision) => {
            format!(
                "would go on with the attempt at {} that was cut short",
                revision.short()
            )
        }
        Foreseen::Nothing(verdict) => format!("would do nothing: {}", told(verdict)),
        Foreseen::Deploy {
            revision,
            obstacle: Some(why),
            ..
        } => {
            format!("would try {} and fail: {why}", revision.short())
        }
        Foreseen::Deploy { revision, live, .. } => {
            let live = live.as_ref().map_or("nothing", |live| live.short());
            format!("would deploy {}, {live} is live", revision.short())
        }
    }
}

/// A pause, in a line.
#[must_use]
pub fn paused(pause: &Pause) -> String {
    let until = pause.until.map_or_else(
        || "`pp-fetcher resume` ends it".to_owned(),
        |until| format!("until {}", until.strftime("%Y-%m-%d %H:%M UTC")),
    );
    format!("paused: {} ({until})", pause.reason)
}

fn attempted(attempt: &Attempt) -> String {
    let (new, total) = (attempt.revision.short(), human(attempt.total()));
    let old = attempt
        .previous
        .as_ref()
        .map_or("nothing", |revision| revision.short());
    let reason = attempt.reason.as_deref().unwrap_or_default();
    match attempt.outcome {
        Outcome::Good => format!("good: {new} is live, {total} after the poll"),
        Outcome::Refused => format!("refused: {new} was not accepted, {old} serves on\n  {reason}"),
        Outcome::Failed => format!("failed: {new} was not deployed, {old} serves on\n  {reason}"),
        Outcome::RolledBack => {
            format!("rolled back: {new} was not well, {old} serves again ({total})\n  {reason}")
        }
        Outcome::Stuck => format!("STUCK: {new} is not well and there is no way back\n  {reason}"),
    }
}

/// The first line of a text of several.
#[must_use]
pub fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
