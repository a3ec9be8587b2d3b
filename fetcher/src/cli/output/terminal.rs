//! Output to a terminal: ended steps as lines, and below them one line for each app with its running step.
//!
//! No mode of the terminal is set that would have to be reset (no hidden cursor, no other screen): a program
//! that is killed leaves at most a line behind.

use std::time::Duration;

use super::running::RunningStep;
use super::status_lines::{LineId, StatusLines};
use super::style::TextStyle;
use super::words;
use super::{PassReporter, PassResult, on_a_screen, say};
use crate::deploy::{Progress, Reporter, Step};
use crate::revision::Revision;
use crate::util::duration::human;

/// The terminal, shared by the apps that are polled at the same time.
#[derive(Debug)]
pub(crate) struct Screen {
    lines: StatusLines,
    look: TextStyle,
}

impl Screen {
    /// Whether there is a terminal to draw on.
    #[must_use]
    pub(crate) fn possible() -> bool {
        on_a_screen()
    }

    /// Makes the screen: lines go to standard output, running steps to standard error.
    #[must_use]
    pub(crate) fn new(look: TextStyle) -> Self {
        Self {
            lines: StatusLines::new(look.unicode),
            look,
        }
    }

    pub(super) fn voice(&self) -> Live {
        Live {
            lines: self.lines.clone(),
            look: self.look,
            running: None,
        }
    }
}

/// One app's lines, and the line with its running step.
pub(super) struct Live {
    lines: StatusLines,
    look: TextStyle,
    running: Option<LineId>,
}

impl Live {
    fn line(&self, app: &str, text: &str) {
        self.lines.print_above(|| say(&format!("{app}: {text}\n")));
    }

    fn clear(&mut self) {
        if let Some(running) = self.running.take() {
            self.lines.remove(running);
        }
    }
}

impl Reporter for Live {
    fn begins(&mut self, app: &str, _revision: &Revision, what: &str) {
        self.line(app, what);
    }

    fn starts(&mut self, app: &str, step: Step, ago: Duration) {
        self.clear();
        let step = RunningStep::begin(app, step, ago);
        self.running = Some(self.lines.add(step));
    }

    fn progress(&mut self, _app: &str, _step: Step, progress: &Progress) {
        if let Some(running) = self.running {
            self.lines.change(running, |step| step.note(progress));
        }
    }

    fn step(&mut self, app: &str, step: Step, took: Duration, well: bool) {
        self.clear();
        let mark = self.look.mark_result(well);
        self.line(app, &format!("{mark} {step:<12} {:>8}", human(took)));
    }

    fn note(&mut self, app: &str, text: &str) {
        self.line(app, &format!("  {text}"));
    }
}

impl PassReporter for Live {
    fn report_result(&mut self, app: &str, ended: &PassResult) {
        self.clear();
        self.line(app, &words::format_result(app, ended).render(self.look));
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.clear();
    }
}
