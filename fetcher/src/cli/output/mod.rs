//! The output of a pass, in the form that suits its reader: a terminal, a log file, the journal, a program.
//!
//! - [`level`]: how much is reported. [`words`]: the sentences, the same in every form of output.
//! - [`style`]: colours and marks. [`lines`]: one line for each event; [`terminal`]: the same, with the
//!   running steps below ([`running`], [`status_lines`]); [`journald`]: records with fields; [`json`]: one
//!   object for each app.
//!
//! Lines that are worth keeping go to standard output, so that `>>log` and `| tee` store all of them. The
//! display of a running step goes to standard error and leaves no trace.

pub(crate) mod journald;
pub(crate) mod json;
pub(crate) mod level;
pub(crate) mod lines;
mod running;
mod status_lines;
pub(crate) mod style;
pub(crate) mod terminal;
pub(crate) mod words;

use std::io::{IsTerminal, Write};
use std::time::Duration;

use crate::deploy::{Progress, Reporter, Step, Verdict};
use crate::pass::{Error, Pass};
use crate::revision::Revision;
use crate::sanitize;
pub(super) use crate::sanitize::{print_error, print_prompt};
use journald::Journald;
use level::Level;
use lines::Lines;
use style::TextStyle;
use terminal::Screen;

/// The result of a pass.
pub(crate) type PassResult = Result<Pass<Verdict>, Error>;

/// A reporter of one app's pass: of the events while it runs, and of its result.
pub(crate) trait PassReporter: Reporter {
    /// Reports the result of the pass, which has ended.
    fn report_result(&mut self, app: &str, ended: &PassResult);
}

/// The place that passes are reported to; shared by the apps that are polled at the same time.
#[derive(Debug)]
pub(crate) struct Output {
    to: Destination,
    level: Level,
}

#[derive(Debug)]
enum Destination {
    Lines(Lines),
    Screen(Screen),
    Journal(Journald),
    Json,
}

impl Output {
    /// Chooses the form by what standard output is connected to.
    #[must_use]
    pub(crate) fn choose(level: Level) -> Self {
        let to = if let Some(journal) = Journald::connected() {
            Destination::Journal(journal)
        } else if Screen::possible() {
            Destination::Screen(Screen::new(TextStyle::stdout()))
        } else {
            Destination::Lines(Lines::stdout())
        };
        Self { to, level }
    }

    /// Chooses one JSON object a line, for programs.
    #[must_use]
    pub(crate) fn json(level: Level) -> Self {
        Self {
            to: Destination::Json,
            level,
        }
    }

    /// Makes the reporter of one app's pass.
    #[must_use]
    pub(crate) fn voice(&self) -> Box<dyn PassReporter + '_> {
        let inner: Box<dyn PassReporter> = match &self.to {
            Destination::Lines(lines) => Box::new(lines.clone()),
            Destination::Screen(screen) => Box::new(screen.voice()),
            Destination::Journal(journal) => Box::new(journal.voice()),
            Destination::Json => Box::new(json::Json),
        };
        Box::new(LevelFilter {
            inner,
            level: self.level,
        })
    }
}

/// A reporter that leaves out everything that its level does not include.
struct LevelFilter {
    inner: Box<dyn PassReporter>,
    level: Level,
}

impl Reporter for LevelFilter {
    fn begins(&mut self, app: &str, revision: &Revision, what: &str) {
        if self.level.tells_steps() {
            self.inner.begins(app, revision, what);
        }
    }

    fn starts(&mut self, app: &str, step: Step, ago: Duration) {
        self.inner.starts(app, step, ago);
    }

    fn progress(&mut self, app: &str, step: Step, progress: &Progress) {
        self.inner.progress(app, step, progress);
    }

    fn step(&mut self, app: &str, step: Step, took: Duration, well: bool) {
        if self.level.tells_steps() {
            self.inner.step(app, step, took, well);
        }
    }

    fn note(&mut self, app: &str, text: &str) {
        if self.level.tells_steps() {
            self.inner.note(app, text);
        }
    }
}

impl PassReporter for LevelFilter {
    fn report_result(&mut self, app: &str, ended: &PassResult) {
        if self.level.includes(ended) {
            self.inner.report_result(app, ended);
        }
    }
}

/// Writes a text to standard output, cleaned for a person. Errors are ignored: a reader that has closed the
/// pipe (`| head`) must neither end a deploy nor cause a complaint.
pub(crate) fn say(text: &str) {
    let text = sanitize::sanitize(text, TextStyle::stdout().has_colour());
    let mut stdout = std::io::stdout().lock();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

/// Writes JSON to standard output, cleaned for a person.
pub(crate) fn say_json(text: &str) {
    say(&sanitize::json(text));
}

/// Whether both outputs are a terminal on which the cursor can be moved.
fn on_a_screen() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    !dumb && std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
}
