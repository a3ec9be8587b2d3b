//! The recorder of an attempt: how long each step took, reported while the steps run and kept afterwards.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::step::Step;
use crate::crash;
use crate::revision::Revision;
use crate::state::under_way::{Place, started};
use crate::state::{PhaseTime, UnderWay};

/// How far a step has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The progress of a fetch.
    Fetch {
        /// Bytes received.
        bytes: u64,
        /// Objects indexed.
        objects: u64,
        /// Objects in all; 0 until the server has told the number.
        of: u64,
    },
    /// The progress of a checkout.
    Checkout {
        /// Files written.
        files: u64,
        /// Files in all.
        of: u64,
    },
    /// A line of output of the build script.
    Build(String),
}

/// A receiver of reports about a pass while the pass runs.
pub(crate) trait Reporter: Send {
    /// Called when an attempt begins or is continued: `what` says so in words.
    fn begins(&mut self, app: &str, revision: &Revision, what: &str);
    /// Called when a step begins, which may be before it is known whether there will be an attempt. A step that
    /// another process runs may have begun some time `ago`.
    fn starts(&mut self, _app: &str, _step: Step, _ago: Duration) {}
    /// Called with the progress of a step; called often, so an implementation must be cheap.
    fn progress(&mut self, _app: &str, _step: Step, _progress: &Progress) {}
    /// Called when a step has ended, well or not.
    fn step(&mut self, app: &str, step: Step, took: Duration, well: bool);
    /// Called with a text that deserves a line of output.
    fn note(&mut self, app: &str, text: &str);
}

/// The kind of attempt that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning<'a> {
    /// The deploy of a new revision, with its commit's subject.
    Deploy(&'a str),
    /// The continuation of an interrupted attempt.
    GoOn,
    /// The way back to the release of this name.
    Back(&'a str),
    /// A rollback by hand, to the release of this name.
    Rollback(&'a str),
}

impl Beginning<'_> {
    fn sentence(self, revision: &Revision) -> String {
        let revision = revision.short();
        match self {
            Self::Deploy(subject) => format!("deploying {revision} \u{201c}{subject}\u{201d}"),
            Self::GoOn => format!("going on with {revision}, where an attempt was cut short"),
            Self::Back(release) => format!("going back to {release}, {revision} is not well"),
            Self::Rollback(release) => format!("rolling back by hand to {release}"),
        }
    }
}

/// The recorder of one attempt.
pub(crate) struct StepRecorder<'a> {
    app: &'a str,
    reporter: &'a mut dyn Reporter,
    phases: Vec<PhaseTime>,
    // A pass without an attempt deserves no output, so steps are not reported before an attempt begins.
    loud: bool,
    before: Vec<(Step, Duration, bool)>,
    place: Option<Place>,
    under_way: Option<UnderWay>,
}

impl<'a> StepRecorder<'a> {
    /// Makes an empty recorder for `app`.
    pub(crate) fn new(app: &'a str, reporter: &'a mut dyn Reporter) -> Self {
        Self {
            app,
            reporter,
            phases: Vec::new(),
            loud: false,
            before: Vec::new(),
            place: None,
            under_way: None,
        }
    }

    /// Makes the recorder also write to `place` which step is under way.
    #[must_use]
    pub(crate) fn with_status_file(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Begins an attempt: reports the steps that were done so far now, and every later step when it ends.
    pub(crate) fn begin(&mut self, revision: &Revision, beginning: Beginning<'_>) {
        self.loud = true;
        let what = beginning.sentence(revision);
        self.reporter.begins(self.app, revision, &what);
        let pid = std::process::id();
        self.under_way = Some(UnderWay {
            revision: *revision,
            what,
            phase: None,
            since: Timestamp::now(),
            ended: Vec::new(),
            pid,
            started: started(pid).unwrap_or_default(),
        });
        for (step, took, well) in &self.before {
            self.reporter.step(self.app, *step, *took, *well);
        }
    }

    /// Adds the phases of an earlier pass to the recorder of a continued attempt.
    pub(crate) fn resume(&mut self, ended: &[PhaseTime]) {
        self.phases.splice(..0, ended.iter().cloned());
    }

    fn say(&mut self, step: Step) {
        if let (Some(place), Some(under_way)) = (&self.place, &mut self.under_way) {
            under_way.phase = Some(step.as_str().to_owned());
            under_way.since = Timestamp::now();
            under_way.ended.clone_from(&self.phases);
            place.say(under_way);
        }
    }

    /// Runs a step and writes down how long it took.
    ///
    /// # Errors
    /// The step's own error.
    pub(crate) fn step<T, E>(
        &mut self,
        step: Step,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.step_telling(step, |_| work())
    }

    /// Runs a step that reports its progress, and writes down how long it took.
    ///
    /// # Errors
    /// The step's own error.
    pub(crate) fn step_telling<T, E>(
        &mut self,
        step: Step,
        work: impl FnOnce(&mut (dyn FnMut(Progress) + Send)) -> Result<T, E>,
    ) -> Result<T, E> {
        self.timed(step, |reporter, app| {
            work(&mut |progress| reporter.progress(app, step, &progress))
        })
    }

    /// Runs a step that may report lines of text before it ends, and writes down how long it took.
    ///
    /// # Errors
    /// The step's own error.
    pub(crate) fn step_noting<T, E>(
        &mut self,
        step: Step,
        work: impl FnOnce(&mut dyn FnMut(&str)) -> Result<T, E>,
    ) -> Result<T, E> {
        self.timed(step, |reporter, app| {
            work(&mut |text| reporter.note(app, text))
        })
    }

    fn timed<T, E>(
        &mut self,
        step: Step,
        work: impl FnOnce(&mut dyn Reporter, &str) -> Result<T, E>,
    ) -> Result<T, E> {
        let began = Instant::now();
        self.reporter.starts(self.app, step, Duration::ZERO);
        self.say(step);
        crash::point("before", step.as_str());
        let result = work(self.reporter, self.app);
        crash::point("after", step.as_str());
        let took = began.elapsed();
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.phases.push(PhaseTime {
            phase: step.as_str().to_owned(),
            ms,
            failed: result.is_err(),
        });
        if self.loud {
            self.reporter.step(self.app, step, took, result.is_ok());
        } else {
            self.before.push((step, took, result.is_ok()));
        }
        result
    }

    /// Reports a text that deserves a line of output.
    pub(crate) fn note(&mut self, text: &str) {
        self.reporter.note(self.app, text);
    }

    /// Gives the steps so far, with the time that each took.
    #[must_use]
    pub(crate) fn phases(&self) -> &[PhaseTime] {
        &self.phases
    }
}

impl Drop for StepRecorder<'_> {
    fn drop(&mut self) {
        if let (Some(place), Some(_)) = (&self.place, &self.under_way) {
            place.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Steps(Vec<(Step, bool)>);

    impl Reporter for Steps {
        fn begins(&mut self, _: &str, _: &Revision, _: &str) {}
        fn step(&mut self, _: &str, step: Step, _: Duration, well: bool) {
            self.0.push((step, well));
        }
        fn note(&mut self, _: &str, _: &str) {}
    }

    #[test]
    fn a_step_that_failed_before_the_attempt_is_not_reported_as_done() {
        let mut steps = Steps(Vec::new());
        let mut recorder = StepRecorder::new("todo", &mut steps);
        // The tag of highest version stands for no commit, the next one does.
        for fetched in [Err("no commit"), Ok(())] {
            let _ = recorder.step(Step::Fetch, || fetched);
        }
        let revision = Revision::parse(&"a".repeat(40)).unwrap();
        recorder.begin(&revision, Beginning::GoOn);
        drop(recorder);
        assert_eq!(steps.0, [(Step::Fetch, false), (Step::Fetch, true)]);
    }
}
