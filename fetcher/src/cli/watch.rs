//! Shows what another process does to an app while a poll waits for the app's lock.
//!
//! That process writes down which step it runs ([`UnderWay`]), and in the end a line of the history.

use std::time::Duration;

use jiff::Timestamp;

use super::patience::{Patience, Until};
use crate::deploy::{Reporter, Step};
use crate::state::{EndedAttempt, PhaseTime, StateDir, UnderWay};

/// The wait of a poll for the pass of another process.
pub(super) struct Watch<'a> {
    app: &'a str,
    patience: Patience,
    steps: Steps,
    /// The last attempt of the history when the wait began; `None`: there was no wait.
    before: Option<Option<EndedAttempt>>,
}

impl<'a> Watch<'a> {
    /// Makes the wait, which has not begun.
    pub(super) fn new(app: &'a str, until: Until) -> Self {
        Self {
            app,
            patience: Patience::new(until),
            steps: Steps::default(),
            before: None,
        }
    }

    /// Reports the steps that the other pass has run, and waits a moment. Gives whether to try the lock again.
    pub(super) fn wait(&mut self, dir: &StateDir, reporter: &mut dyn Reporter) -> bool {
        let now = dir.under_way().read();
        let Self {
            app,
            patience,
            steps,
            before,
        } = self;
        patience.wait(now.is_some(), |tell| {
            // Before the moment, in which the attempt may end.
            before.get_or_insert_with(|| last_attempt(dir));
            if tell {
                reporter.note(app, "another pass is at work, waiting for its end");
            }
            if let Some(now) = &now {
                steps.show(app, now, Timestamp::now(), reporter);
            }
        })
    }

    /// Gives the attempt that the other pass has made during the wait, and reports its last steps. To be called when
    /// that pass has ended.
    pub(super) fn ended_attempt(
        self,
        dir: &StateDir,
        reporter: &mut dyn Reporter,
    ) -> Option<EndedAttempt> {
        let before = self.before?;
        let attempt = last_attempt(dir).filter(|last| Some(last) != before.as_ref())?;
        self.steps.end(self.app, &attempt, reporter);
        Some(attempt)
    }
}

/// The last attempt of the history. A history that cannot be read has none: the poll that follows says so.
fn last_attempt(dir: &StateDir) -> Option<EndedAttempt> {
    dir.history().read().ok()?.pop()
}

/// The steps of an attempt, as far as they were reported.
#[derive(Debug, Default)]
struct Steps {
    of: Option<UnderWay>,
    reported: usize,
}

impl Steps {
    /// Reports what is new in `now`, which was read at the time `at`.
    fn show(&mut self, app: &str, now: &UnderWay, at: Timestamp, reporter: &mut dyn Reporter) {
        let before = self.of.replace(now.clone()).filter(|before| {
            let is_same = |of: &UnderWay| (of.revision, of.pid, of.started);
            is_same(before) == is_same(now) && now.ended.len() >= self.reported
        });
        if before.is_none() {
            self.reported = 0;
        }
        if before.as_ref().is_none_or(|before| before.what != now.what) {
            reporter.begins(app, &now.revision, &now.what);
        }
        self.report(app, &now.ended, reporter);
        let runs_already =
            before.is_some_and(|before| (&before.phase, before.since) == (&now.phase, now.since));
        let step = now.phase.as_deref().and_then(Step::named);
        if let Some(step) = step.filter(|_| !runs_already) {
            // No step is shown to have begun later than now, where the clock was set back.
            let ago = Duration::try_from(at.duration_since(now.since));
            reporter.starts(app, step, ago.unwrap_or_default());
        }
    }

    /// Reports the last steps of the attempt, which has ended. Nothing, if its beginning was not seen.
    fn end(mut self, app: &str, ended: &EndedAttempt, reporter: &mut dyn Reporter) {
        let seen = self.of.take();
        if seen.is_some_and(|seen| seen.revision == ended.attempt.revision) {
            self.report(app, &ended.attempt.phases, reporter);
        }
    }

    /// Reports those of `ended` that were not reported yet.
    fn report(&mut self, app: &str, ended: &[PhaseTime], reporter: &mut dyn Reporter) {
        for phase in ended.get(self.reported..).unwrap_or_default() {
            if let Some(step) = Step::named(&phase.phase) {
                reporter.step(app, step, Duration::from_millis(phase.ms), !phase.failed);
            }
        }
        self.reported = self.reported.max(ended.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revision::Revision;

    /// What was reported, a line each.
    #[derive(Default)]
    struct Lines(Vec<String>);

    impl Reporter for Lines {
        fn begins(&mut self, _: &str, _: &Revision, what: &str) {
            self.0.push(what.to_owned());
        }
        fn starts(&mut self, _: &str, step: Step, ago: Duration) {
            self.0.push(format!("{step}, since {} s", ago.as_secs()));
        }
        fn step(&mut self, _: &str, step: Step, took: Duration, well: bool) {
            let ended = if well { "ended" } else { "failed" };
            self.0
                .push(format!("{step} {ended} after {} ms", took.as_millis()));
        }
        fn note(&mut self, _: &str, text: &str) {
            self.0.push(text.to_owned());
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn phases(ended: &[(&str, bool)]) -> Vec<PhaseTime> {
        let phase = |&(phase, failed): &(&str, bool)| PhaseTime {
            phase: phase.to_owned(),
            ms: 7,
            failed,
        };
        ended.iter().map(phase).collect()
    }

    /// A process that runs `phase` since second 10, after the steps that have `ended`.
    fn runs(phase: &str, ended: &[(&str, bool)]) -> UnderWay {
        UnderWay {
            revision: Revision::parse(&"a".repeat(40)).unwrap(),
            what: "deploying".to_owned(),
            phase: Some(phase.to_owned()),
            since: at(10),
            ended: phases(ended),
            pid: 1,
            started: 1,
        }
    }

    fn shown(states: &[UnderWay]) -> (Steps, Lines) {
        let (mut steps, mut lines) = (Steps::default(), Lines::default());
        for now in states {
            steps.show("todo", now, at(12), &mut lines);
        }
        (steps, lines)
    }

    #[test]
    fn each_step_is_reported_once_however_often_the_file_is_read() {
        let polled = [("poll", false)];
        let fetched = [("poll", false), ("fetch", false)];
        let (_, lines) = shown(&[
            runs("fetch", &polled),
            runs("fetch", &polled),
            runs("build", &fetched),
        ]);
        let expected = [
            "deploying",
            "poll ended after 7 ms",
            "fetch, since 2 s",
            "fetch ended after 7 ms",
            "build, since 2 s",
        ];
        assert_eq!(lines.0, expected);
    }

    #[test]
    fn the_beginning_is_reported_once_though_no_step_has_ended() {
        let (_, lines) = shown(&[runs("back-switch", &[]), runs("back-switch", &[])]);
        assert_eq!(lines.0, ["deploying", "back-switch, since 2 s"]);
    }

    #[test]
    fn another_attempt_of_the_same_process_begins_anew() {
        let mut next = runs("fetch", &[("poll", false)]);
        next.revision = Revision::parse(&"b".repeat(40)).unwrap();
        next.since = at(20);
        let (_, lines) = shown(&[runs("build", &[("poll", false), ("fetch", true)]), next]);
        let expected = [
            "deploying",
            "poll ended after 7 ms",
            "fetch failed after 7 ms",
            "build, since 2 s",
            "deploying",
            "poll ended after 7 ms",
            "fetch, since 0 s",
        ];
        assert_eq!(lines.0, expected);
    }

    #[test]
    fn the_same_revision_once_more_is_another_attempt() {
        let again = runs("fetch", &[("poll", false)]);
        let (_, lines) = shown(&[runs("build", &[("poll", false), ("fetch", false)]), again]);
        assert_eq!(
            lines.0.iter().filter(|line| *line == "deploying").count(),
            2
        );
    }

    #[test]
    fn a_step_that_this_version_does_not_know_is_left_out() {
        let (_, lines) = shown(&[runs("dance", &[("sing", false), ("poll", false)])]);
        assert_eq!(lines.0, ["deploying", "poll ended after 7 ms"]);
    }
}
