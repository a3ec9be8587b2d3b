//! The pipeline: the steps from a poll to a good release, in order.

use std::fs;

use jiff::Timestamp;
use thiserror::Error;

use super::backoff::Urge;
use super::build::{self, Facts};
use super::failure::{Blame, Failure};
use super::journal::{Journal, Phase};
use super::restart::{Restarter, restart_all};
use super::source::{Commit, Source};
use crate::config::App;
use crate::health::Host;
use crate::health::probe::probe;
use crate::release::Layout;
use crate::release::prune::Failed;
use crate::revision::Revision;
use crate::state::{Attempt, Pause, Quarantine, State, StateDir, StateError, Trouble, Trying};
use crate::{space, stop};

/// One app with everything a pass over it needs. Made under the app's lock.
pub struct Deployment<'a> {
    /// The app.
    pub app: &'a App,
    /// Its directories.
    pub layout: Layout,
    /// Where its state is kept.
    pub dir: StateDir,
    /// Its state.
    pub state: State,
    /// Where revisions come from.
    pub source: &'a mut dyn Source,
    /// Who restarts units.
    pub restarter: &'a dyn Restarter,
    /// How units and the app are looked at.
    pub host: &'a dyn Host,
    /// The time of day.
    pub clock: fn() -> Timestamp,
}

/// What a pass came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The live revision is what is followed.
    Nothing(Revision),
    /// What is followed is quarantined.
    Held(Quarantine),
    /// Somebody paused the app; the forge was not asked.
    Paused(Pause),
    /// The last polls failed; the forge was not asked again yet.
    Waiting(Trouble),
    /// An attempt was made.
    Attempted(Box<Attempt>),
}

/// Why a pass ended before it could come to anything.
#[derive(Debug, Error)]
pub enum PassError {
    /// The state cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// A step before any attempt failed; nothing was touched.
    #[error(transparent)]
    Step(#[from] Failure),
}

/// What is known of an attempt before it ends.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) attempt: u64,
    pub(super) started_at: Timestamp,
    pub(super) revision: Revision,
    pub(super) previous: Option<Revision>,
    pub(super) author: String,
    pub(super) subject: String,
    pub(super) signed_by: Option<String>,
    pub(super) release: Option<String>,
}

impl Deployment<'_> {
    /// One pass: goes on with what was cut short, asks the forge, deploys what is new.
    ///
    /// # Errors
    /// Nothing could be attempted; what serves is untouched.
    pub fn pass(&mut self, urge: Urge, journal: &mut Journal<'_>) -> Result<Verdict, PassError> {
        self.layout.sweep();
        self.dir.sweep();
        if let Some(verdict) = self.resume(journal)? {
            return Ok(verdict);
        }
        let forced = urge == Urge::Forced;
        if let Some(pause) = self.pause().filter(|_| !forced) {
            return Ok(Verdict::Paused(pause));
        }
        if let Some(trouble) = self.waits_out().filter(|_| urge == Urge::Scheduled) {
            return Ok(Verdict::Waiting(trouble));
        }
        let polled = journal
            .step(Phase::Poll, || self.source.poll())
            .map_err(|e| e.during(Phase::Poll));
        let revision = polled.or_else(|f| self.trouble(f))?;
        if let Some(verdict) = self.nothing_to_do(&revision).filter(|_| !forced) {
            self.no_trouble()?;
            return Ok(verdict);
        }
        // What a process still used last time may go now; room is made before it is needed.
        self.tidy(Failed::Latest, journal);
        let fetched = journal.step_telling(Phase::Fetch, |tick| self.source.fetch(&revision, tick));
        let commit = match fetched.map_err(|e| e.during(Phase::Fetch)) {
            Err(f) if f.blame == Blame::Surroundings => return self.trouble(f),
            other => other,
        };
        self.attempt(revision, commit, journal).map_err(Into::into)
    }

    /// The steps of the pipeline after the fetch, and what their failures lead to.
    fn attempt(
        &mut self,
        revision: Revision,
        commit: Result<Commit, Failure>,
        journal: &mut Journal<'_>,
    ) -> Result<Verdict, StateError> {
        let previous = self.layout.current().ok().flatten();
        let (author, subject) = match &commit {
            Ok(commit) => (commit.author.clone(), commit.subject.clone()),
            Err(_) => (String::new(), String::new()),
        };
        journal.begin(&revision, &subject);
        let started_at = (self.clock)();
        let release = self.layout.new_name(started_at, &revision);
        let mut draft = Draft {
            attempt: self.state.next_attempt,
            started_at,
            revision: revision.clone(),
            previous: previous
                .as_deref()
                .and_then(|name| self.layout.revision_of(name)),
            author: author.clone(),
            subject: subject.clone(),
            signed_by: None,
            release: None,
        };
        self.state.next_attempt += 1;
        let accepted = commit.and_then(|_| journal.step(Phase::Verify, || self.verify(&draft)));
        match accepted {
            Ok(accepted) => {
                if accepted.rewritten {
                    journal.note("its history was rewritten, which was accepted by hand");
                }
                draft.signed_by = accepted.signed_by;
            }
            Err(failure) => return self.abandon(draft, &failure, journal),
        }
        if let Some(signer) = &draft.signed_by {
            journal.note(&format!("signed by {signer}"));
        }
        let trying = Trying {
            attempt: draft.attempt,
            started_at,
            revision,
            author,
            subject,
            signed_by: draft.signed_by.clone(),
            release,
            previous,
            going_back: None,
        };
        self.state.trying = Some(trying.clone());
        self.save()?;
        let deployed = self.prepare(&draft, &trying, journal).and_then(|()| {
            if stop::told() {
                return Err(Failure::stopped(Phase::Build));
            }
            self.bring_up(&trying, journal)
        });
        self.settle(draft, trying, deployed, journal)
    }

    /// Everything before the switch: what fails here has touched nothing that serves.
    fn prepare(
        &mut self,
        draft: &Draft,
        trying: &Trying,
        journal: &mut Journal<'_>,
    ) -> Result<(), Failure> {
        let release = self.layout.release(&trying.release);
        journal.step_telling(Phase::Checkout, |tick| self.check_out(trying, tick))?;
        let builds = self.app.deploy.build.is_some();
        journal.step(Phase::Shared, || {
            self.layout
                .link_shared(&release, &self.app.deploy.shared)
                .map_err(|(path, e)| {
                    let (path, advice) = (path.display(), space::advice(&e));
                    let what = format!("the shared path {path}: {e}{advice}");
                    Failure::surroundings(Phase::Shared, what)
                })?;
            // A build goes on writing.
            if builds {
                return Ok(());
            }
            self.sync(trying, Phase::Shared)
        })?;
        if !builds {
            return Ok(());
        }
        let facts = Facts {
            app: self.app,
            layout: &self.layout,
            revision: &trying.revision,
            previous: draft.previous.as_ref(),
            release: &release,
        };
        journal.step_telling(Phase::Build, |tick| {
            build::build(&facts, &self.dir.log(trying.attempt), tick)?;
            self.sync(trying, Phase::Build)
        })
    }

    /// The last thing before the switch: what is switched to outlives a power cut.
    fn sync(&self, trying: &Trying, phase: Phase) -> Result<(), Failure> {
        self.layout.sync(&trying.release).map_err(|e| {
            let release = self.layout.release(&trying.release);
            let what = format!(
                "{} could not be synced to disk, nothing was switched: {e}\n  \
                 the kernel's log says more about the disk: journalctl -k",
                release.display()
            );
            Failure::surroundings(phase, what)
        })
    }

    /// The switch and everything after it: what fails from here on is taken back.
    pub(super) fn bring_up(
        &mut self,
        trying: &Trying,
        journal: &mut Journal<'_>,
    ) -> Result<(), Failure> {
        let release = self.layout.release(&trying.release);
        journal.step(Phase::Switch, || {
            self.layout
                .switch(&trying.release)
                .map_err(|e| unswitched(Phase::Switch, &e))
        })?;
        let unknown = journal.step_noting(Phase::Restart, |note| {
            restart_all(self.restarter, self.host, self.app, Phase::Restart, note)
        })?;
        unknown.iter().for_each(|what| journal.note(what));
        journal.step(Phase::Probe, || {
            probe(self.host, self.app, &release).map_err(|why| match &trying.previous {
                // A restart that never was says nothing about the revision.
                Some(previous) if !unknown.is_empty() && self.runs_from(previous) => {
                    not_restarted(previous, &unknown)
                }
                _ => Failure::revision(Phase::Probe, why),
            })
        })
    }

    /// The pause that holds now.
    pub(super) fn pause(&self) -> Option<Pause> {
        self.state
            .paused
            .clone()
            .filter(|pause| pause.holds((self.clock)()))
    }

    pub(super) fn nothing_to_do(&self, revision: &Revision) -> Option<Verdict> {
        let live = self.state.live.as_ref();
        // A link that leads nowhere serves nothing: the revision is deployed again.
        let serves = fs::metadata(self.layout.current_link()).is_ok();
        if live.is_some_and(|live| live.revision == *revision) && serves {
            return Some(Verdict::Nothing(revision.clone()));
        }
        self.state
            .quarantine_of(revision)
            .cloned()
            .map(Verdict::Held)
    }

    fn trouble<T>(&mut self, mut failure: Failure) -> Result<T, PassError> {
        self.count_trouble(&failure);
        // What went wrong first is what has to be known first.
        if let Err(error) = self.save() {
            failure
                .what
                .push_str(&format!("\n  and that cannot be written down: {error}"));
        }
        Err(failure.into())
    }

    fn no_trouble(&mut self) -> Result<(), StateError> {
        // A no-op writes nothing to disk.
        if self.state.trouble.take().is_some() {
            self.save()
        } else {
            Ok(())
        }
    }

    /// # Errors
    /// The disk; the state before is then still there, whole.
    pub(super) fn save(&self) -> Result<(), StateError> {
        self.dir.save(&self.state)
    }
}

/// The restarter did not say what came of the restart, and nothing did.
fn not_restarted(previous: &str, unknown: &[String]) -> Failure {
    let what = format!(
        "{}\n  the units were not restarted, they still run from {previous}\n  \
         `systemctl status pp-restarter.service` shows what became of the restarter",
        unknown.join("\n  ")
    );
    Failure::surroundings(Phase::Probe, what)
}

/// `current` could not be replaced.
pub(super) fn unswitched(phase: Phase, error: &std::io::Error) -> Failure {
    let advice = space::advice(error);
    Failure::surroundings(phase, format!("`current` stays as it is: {error}{advice}"))
}
