//! A step that is under way, as a line of a terminal shows it.

use std::time::{Duration, Instant};

use crate::deploy::{Progress, Step};
use crate::util::duration::human;
use crate::util::text;

/// How many characters wide a bar is.
const BAR: usize = 24;

/// A running step of an app.
#[derive(Debug)]
pub(super) struct RunningStep {
    app: String,
    step: Step,
    begun: Instant,
    /// How much of a known whole is done.
    count: Option<Count>,
    /// The last words about the step.
    message: String,
}

#[derive(Debug)]
struct Count {
    of_what: &'static str,
    done: u64,
    of: u64,
}

impl RunningStep {
    /// A step that has begun some time `ago`.
    pub(super) fn begin(app: &str, step: Step, ago: Duration) -> Self {
        let now = Instant::now();
        Self {
            app: app.to_owned(),
            step,
            begun: now.checked_sub(ago).unwrap_or(now),
            count: None,
            message: String::new(),
        }
    }

    /// Takes note of the step's progress.
    pub(super) fn note(&mut self, progress: &Progress) {
        match progress {
            Progress::Fetch { bytes, objects, of } => {
                self.count("objects", *objects, *of);
                let tenths = bytes.saturating_mul(10) >> 20;
                self.message = format!("{}.{} MiB", tenths / 10, tenths % 10);
            }
            Progress::Checkout { files, of } => self.count("files", *files, *of),
            Progress::Build(line) => text::kept(line.as_bytes())
                .trim()
                .clone_into(&mut self.message),
        }
    }

    fn count(&mut self, of_what: &'static str, done: u64, of: u64) {
        let count = Count { of_what, done, of };
        self.count = (of > 0).then_some(count);
    }

    /// Gives the line at a beat of the display: an unknown whole shows the time instead of a bar.
    pub(super) fn line(&self, beat: usize, unicode: bool) -> String {
        let marks = match unicode {
            true => {
                "\u{280b}\u{2819}\u{2839}\u{2838}\u{283c}\u{2834}\u{2826}\u{2827}\u{2807}\u{280f}"
            }
            false => "-\\|/",
        };
        let mark = marks.chars().nth(beat % marks.chars().count());
        let (app, mark, step) = (&self.app, mark.unwrap_or(' '), self.step);
        let middle = match &self.count {
            Some(Count { of_what, done, of }) => {
                format!("{} {done}/{of} {of_what}", bar(*done, *of, unicode))
            }
            None => {
                let seconds = self.begun.elapsed().as_secs();
                let time = match seconds {
                    0..60 => format!("{seconds} s"),
                    _ => human(Duration::from_secs(seconds)),
                };
                format!("{time:>8}")
            }
        };
        format!("{app}: {mark} {step:<12} {middle} {}", self.message)
    }
}

/// Draws how much of a whole is done.
fn bar(done: u64, of: u64, unicode: bool) -> String {
    let [full, head, rest] = if unicode {
        ["\u{2501}", "\u{2578}", "\u{2500}"]
    } else {
        ["=", ">", "-"]
    };
    let done = (u128::from(done.min(of)) * BAR as u128).checked_div(of.into());
    let done = done
        .and_then(|done| usize::try_from(done).ok())
        .unwrap_or(0);
    match BAR.saturating_sub(done) {
        0 => full.repeat(BAR),
        left => format!("{}{head}{}", full.repeat(done), rest.repeat(left - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_an_unknown_length_shows_its_time_and_its_last_words() {
        let mut step = RunningStep::begin("todo", Step::Build, Duration::ZERO);
        assert_eq!(step.line(0, false), "todo: - build             0 s ");
        step.note(&Progress::Build("Collecting \u{1b}[1mdjango\u{7}".into()));
        step.begun -= Duration::from_millis(7_900);
        assert_eq!(
            step.line(1, false),
            "todo: \\ build             7 s Collecting django"
        );
        step.begun -= Duration::from_secs(180);
        assert_eq!(
            step.line(3, false),
            "todo: / build        3 min 07 s Collecting django"
        );
        assert_eq!(step.line(4, true).chars().nth(6), Some('\u{283c}'));
    }

    #[test]
    fn a_step_of_a_known_length_shows_a_bar() {
        let mut step = RunningStep::begin("todo", Step::Fetch, Duration::ZERO);
        let fetched = |objects, of| Progress::Fetch {
            bytes: 3 << 19,
            objects,
            of,
        };
        step.note(&fetched(0, 0));
        assert_eq!(step.line(0, false), "todo: - fetch             0 s 1.5 MiB");
        step.note(&fetched(30, 60));
        assert_eq!(
            step.line(0, false),
            "todo: - fetch        ============>----------- 30/60 objects 1.5 MiB"
        );
        for (done, shown) in [
            (0, ">-----------------------"),
            (59, "=======================>"),
            (60, "========================"),
            (99, "========================"),
        ] {
            assert_eq!(bar(done, 60, false), shown, "{done}");
        }
        assert_eq!(bar(1, 0, true).chars().count(), 24);
        assert_eq!(bar(u64::MAX, u64::MAX, true), "\u{2501}".repeat(24));
    }
}
