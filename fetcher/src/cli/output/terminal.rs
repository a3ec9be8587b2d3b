//! Output to a terminal: ended steps as lines, and below them one line for each app with its running step.
//!
//! No mode of the terminal is set that would have to be reset (no hidden cursor, no other screen): a program
//! that is killed leaves at most a line behind.

use std::fmt;
use std::time::Duration;

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};

use super::style::TextStyle;
use super::words;
use super::{PassReporter, PassResult, on_a_screen, say};
use crate::deploy::{Progress, Reporter, Step};
use crate::revision::Revision;
use crate::util::duration::human;
use crate::util::text;

/// How often the running step is drawn again while there is no progress to show.
const BEAT: Duration = Duration::from_millis(100);

/// The terminal, shared by the apps that are polled at the same time.
pub(crate) struct Screen {
    all: MultiProgress,
    look: TextStyle,
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Screen").field("look", &self.look).finish()
    }
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
            all: MultiProgress::new(),
            look,
        }
    }

    pub(super) fn voice(&self) -> Live {
        Live {
            all: self.all.clone(),
            look: self.look,
            bar: None,
            counted: false,
        }
    }
}

/// One app's lines, and the line with its running step.
pub(super) struct Live {
    all: MultiProgress,
    look: TextStyle,
    bar: Option<ProgressBar>,
    /// Whether the bar already shows a total.
    counted: bool,
}

impl Live {
    fn line(&self, app: &str, text: &str) {
        self.all.suspend(|| say(&format!("{app}: {text}\n")));
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
    }

    fn spinner(&self, rest: &str) -> ProgressStyle {
        let (ticks, bar) = if self.look.unicode {
            (
                "\u{280b}\u{2819}\u{2839}\u{2838}\u{283c}\u{2834}\u{2826}\u{2827}\u{2807}\u{280f} ",
                "\u{2501}\u{2578}\u{2500}",
            )
        } else {
            ("-\\|/ ", "=>-")
        };
        // An invalid template is a mistake in this program, which must cost the bar only, not the deploy.
        ProgressStyle::with_template(&format!("{{prefix}}: {{spinner}} {rest}"))
            .unwrap_or_else(|_| ProgressStyle::default_spinner())
            .tick_chars(ticks)
            .progress_chars(bar)
    }

    fn count(&mut self, step: Step, what: &str, done: u64, of: u64) {
        let Some(bar) = &self.bar else { return };
        if !self.counted && of > 0 {
            let rest = format!("{step:<12} {{bar:24}} {{pos}}/{{len}} {what} {{wide_msg}}");
            bar.set_style(self.spinner(&rest));
            self.counted = true;
        }
        bar.set_length(of);
        bar.set_position(done);
    }
}

impl Reporter for Live {
    fn begins(&mut self, app: &str, _revision: &Revision, what: &str) {
        self.line(app, what);
    }

    fn starts(&mut self, app: &str, step: Step) {
        self.clear();
        let bar = self.all.add(ProgressBar::new_spinner());
        bar.set_style(self.spinner(&format!("{step:<12} {{elapsed:>8}} {{wide_msg}}")));
        bar.set_prefix(app.to_owned());
        bar.enable_steady_tick(BEAT);
        self.bar = Some(bar);
        self.counted = false;
    }

    fn progress(&mut self, _app: &str, step: Step, progress: &Progress) {
        match progress {
            Progress::Fetch { bytes, objects, of } => {
                self.count(step, "objects", *objects, *of);
                if let Some(bar) = &self.bar {
                    bar.set_message(HumanBytes(*bytes).to_string());
                }
            }
            Progress::Checkout { files, of } => self.count(step, "files", *files, *of),
            Progress::Build(line) => {
                if let Some(bar) = &self.bar {
                    bar.set_message(text::kept(line.as_bytes()).trim().to_owned());
                }
            }
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
