//! One line for each event: for a log file, a pipe, or a terminal without cursor movement.

use std::io::IsTerminal;
use std::time::Duration;

use jiff::Timestamp;

use super::journald::stdout_is_journal;
use super::style::{TextStyle, Tone};
use super::words::{self, Sentence};
use super::{PassReporter, PassResult, say};
use crate::deploy::{Reporter, Step};
use crate::revision::Revision;
use crate::util::duration::human;

/// Writes one line for each event.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    stamped: bool,
    look: TextStyle,
}

impl Lines {
    /// Makes the writer for standard output. Lines begin with the time, unless the output is a terminal or
    /// the journal, which adds the time itself.
    #[must_use]
    pub(crate) fn stdout() -> Self {
        Self {
            stamped: !std::io::stdout().is_terminal() && !stdout_is_journal(),
            look: TextStyle::stdout(),
        }
    }

    /// Writes a line about `app`.
    pub(crate) fn line(&self, app: &str, text: &str) {
        let stamp = if self.stamped {
            format!("{} ", Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ"))
        } else {
            String::new()
        };
        say(&format!("{stamp}{app}: {text}\n"));
    }

    /// Writes a sentence about `app`.
    pub(crate) fn sentence(&self, app: &str, sentence: &Sentence) {
        self.line(app, &sentence.render(self.look));
    }
}

impl Reporter for Lines {
    fn begins(&mut self, app: &str, _revision: &Revision, what: &str) {
        self.line(app, what);
    }

    fn step(&mut self, app: &str, step: Step, took: Duration, well: bool) {
        let took = human(took);
        if well {
            self.line(app, &format!("  {step:<12} {took:>8}"));
        } else {
            let failed = self.look.paint(Tone::Bad, "failed");
            self.line(app, &format!("  {step:<12} {took:>8}  {failed}"));
        }
    }

    fn note(&mut self, app: &str, text: &str) {
        self.line(app, &format!("  {text}"));
    }
}

impl PassReporter for Lines {
    fn report_result(&mut self, app: &str, ended: &PassResult) {
        self.sentence(app, &words::format_result(app, ended));
    }
}
