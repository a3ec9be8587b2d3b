//! The output of a pass, in the form that suits its reader: a terminal, a log file, the journal, a program.
//!
//! - [`level`]: how much is reported. [`words`]: the sentences, the same in every form of output.
//! - [`style`]: colours and marks. [`lines`]: one line for each event; [`terminal`]: the same, with the
//!   running steps below; [`journald`]: records with fields; [`json`]: one object for each app.
//!
//! Lines that are worth keeping go to standard output, so that `>>log` and `| tee` store all of them. The
//! display of a running step goes to standard error and leaves no trace.

pub(crate) mod journald;
pub(crate) mod json;
pub(crate) mod level;
pub(crate) mod lines;
pub(crate) mod style;
pub(crate) mod terminal;
pub(crate) mod words;

use std::io::{IsTerminal, Write};
use std::time::Duration;

use crate::deploy::{Progress, Reporter, Step, Verdict};
use crate::pass::{Error, Pass};
use crate::revision::Revision;
use crate::shown;
pub(super) use crate::shown::{ask, complain};
use journald::Journald;
use level::Level;
use lines::Lines;
use style::Look;
use terminal::Screen;

/// The result of a pass.
pub(crate) type Ended = Result<Pass<Verdict>, Error>;

/// A reporter of one app's pass: of the events while it runs, and of its result.
pub(crate) trait Voice: Reporter {
    /// Reports the result of the pass, which has ended.
    fn ended(&mut self, app: &str, ended: &Ended);
}

/// The place that passes are reported to; shared by the apps that are polled at the same time.
#[derive(Debug)]
pub(crate) struct Output {
    to: To,
    level: Level,
}

#[derive(Debug)]
enum To {
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
            To::Journal(journal)
        } else if Screen::possible() {
            To::Screen(Screen::new(Look::stdout()))
        } else {
            To::Lines(Lines::stdout())
        };
        Self { to, level }
    }

    /// Chooses one JSON object a line, for programs.
    #[must_use]
    pub(crate) fn json(level: Level) -> Self {
        Self {
            to: To::Json,
            level,
        }
    }

    /// Makes the reporter of one app's pass.
    #[must_use]
    pub(crate) fn voice(&self) -> Box<dyn Voice + '_> {
        let inner: Box<dyn Voice> = match &self.to {
            To::Lines(lines) => Box::new(lines.clone()),
            To::Screen(screen) => Box::new(screen.voice()),
            To::Journal(journal) => Box::new(journal.voice()),
            To::Json => Box::new(json::Json),
        };
        Box::new(Hushed {
            inner,
            level: self.level,
        })
    }
}

/// A reporter that leaves out everything that its level does not include.
struct Hushed {
    inner: Box<dyn Voice>,
    level: Level,
}

impl Reporter for Hushed {
    fn begins(&mut self, app: &str, revision: &Revision, what: &str) {
        if self.level.tells_steps() {
            self.inner.begins(app, revision, what);
        }
    }

    fn starts(&mut self, app: &str, step: Step) {
        self.inner.starts(app, step);
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

impl Voice for Hushed {
    fn ended(&mut self, app: &str, ended: &Ended) {
        if self.level.tells(ended) {
            self.inner.ended(app, ended);
        }
    }
}

/// Writes a text to standard output, cleaned for a person. Errors are ignored: a reader that has closed the
/// pipe (`| head`) must neither end a deploy nor cause a complaint.
pub(crate) fn say(text: &str) {
    let text = shown::fit(text, Look::stdout().has_colour());
    let mut stdout = std::io::stdout().lock();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

/// Writes JSON to standard output, cleaned for a person.
pub(crate) fn say_json(text: &str) {
    say(&shown::json(text));
}

/// Whether both outputs are a terminal on which the cursor can be moved.
fn on_a_screen() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    !dumb && std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
}
