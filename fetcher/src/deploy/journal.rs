//! Which step took how long: told while it happens, kept afterwards.

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
    /// A fetch.
    Fetch {
        /// Bytes received.
        bytes: u64,
        /// Objects indexed.
        objects: u64,
        /// Objects in all; 0 until the server has said.
        of: u64,
    },
    /// A checkout.
    Checkout {
        /// Files written.
        files: u64,
        /// Files in all.
        of: u64,
    },
    /// The build script has written a line.
    Build(String),
}

/// Who is told what happens, while it happens.
pub(crate) trait Reporter: Send {
    /// An attempt begins, or is gone on with: `what` says so in words.
    fn begins(&mut self, app: &str, revision: &Revision, what: &str);
    /// A step begins; whether it leads to an attempt may not be known yet.
    fn starts(&mut self, _app: &str, _step: Step) {}
    /// A step has come this far; told often, so it must cost little.
    fn progress(&mut self, _app: &str, _step: Step, _progress: &Progress) {}
    /// A step ended, well or not.
    fn step(&mut self, app: &str, step: Step, took: Duration, well: bool);
    /// Something worth a line.
    fn note(&mut self, app: &str, text: &str);
}

/// What a pass sets about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning<'a> {
    /// A new revision, with its subject.
    Deploy(&'a str),
    /// An attempt that was cut short.
    GoOn,
    /// The way back to this release.
    Back(&'a str),
    /// By hand, to this release.
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

/// The journal of one attempt.
pub(crate) struct Journal<'a> {
    app: &'a str,
    reporter: &'a mut dyn Reporter,
    phases: Vec<PhaseTime>,
    // A no-op is not worth a line, so nothing is told before there is an attempt.
    loud: bool,
    before: Vec<(Step, Duration)>,
    place: Option<Place>,
    under_way: Option<UnderWay>,
}

impl<'a> Journal<'a> {
    /// An empty journal for `app`.
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

    /// With a place where it is said what is being done.
    #[must_use]
    pub(crate) fn saying_at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// An attempt begins: what was done so far is told now, and every later step as it ends.
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
            pid,
            started: started(pid).unwrap_or_default(),
        });
        for (step, took) in &self.before {
            self.reporter.step(self.app, *step, *took, true);
        }
    }

    /// Goes on with an attempt: these phases of it have ended already.
    pub(crate) fn resume(&mut self, ended: &[PhaseTime]) {
        self.phases.splice(..0, ended.iter().cloned());
    }

    fn say(&mut self, step: Step) {
        if let (Some(place), Some(under_way)) = (&self.place, &mut self.under_way) {
            under_way.phase = Some(step.as_str().to_owned());
            under_way.since = Timestamp::now();
            place.say(under_way);
        }
    }

    /// Does a step and writes down how long it took.
    ///
    /// # Errors
    /// What the step says.
    pub(crate) fn step<T, E>(
        &mut self,
        step: Step,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.step_telling(step, |_| work())
    }

    /// Does a step that tells how far it has come, and writes down how long it took.
    ///
    /// # Errors
    /// What the step says.
    pub(crate) fn step_telling<T, E>(
        &mut self,
        step: Step,
        work: impl FnOnce(&mut (dyn FnMut(Progress) + Send)) -> Result<T, E>,
    ) -> Result<T, E> {
        self.timed(step, |reporter, app| {
            work(&mut |progress| reporter.progress(app, step, &progress))
        })
    }

    /// Does a step that has something worth a line to say before it ends, and writes down how long
    /// it took.
    ///
    /// # Errors
    /// What the step says.
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
        self.reporter.starts(self.app, step);
        self.say(step);
        crash::point("before", step.as_str());
        let result = work(self.reporter, self.app);
        crash::point("after", step.as_str());
        let took = began.elapsed();
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.phases.push(PhaseTime {
            phase: step.as_str().to_owned(),
            ms,
        });
        if self.loud {
            self.reporter.step(self.app, step, took, result.is_ok());
        } else {
            self.before.push((step, took));
        }
        result
    }

    /// Says something worth a line.
    pub(crate) fn note(&mut self, text: &str) {
        self.reporter.note(self.app, text);
    }

    /// The steps so far.
    #[must_use]
    pub(crate) fn phases(&self) -> &[PhaseTime] {
        &self.phases
    }
}

impl Drop for Journal<'_> {
    fn drop(&mut self) {
        if let (Some(place), Some(_)) = (&self.place, &self.under_way) {
            place.clear();
        }
    }
}
