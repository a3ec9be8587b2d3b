//! The pipeline: the steps from a poll to a good release, in order.

use std::path::Path;

use jiff::Timestamp;
use nix::unistd::{getegid, geteuid};
use thiserror::Error;

use super::backoff::Trigger;
use super::build::{self, Facts};
use super::failure::Failure;
use super::journal::{Beginning, Journal, Phase};
use super::look::Looked;
use super::restart::{Restarter, restart_all};
use super::seek::{New, Sought};
use super::source::Source;
use crate::config::App;
use crate::health::Host;
use crate::health::probe::probe;
use crate::release::shared::SharedError;
use crate::release::{Layout, place};
use crate::revision::Revision;
use crate::state::{
    Attempt, Kept, Pause, Quarantine, State, StateDir, StateError, Trouble, Trying,
};
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
    /// What is followed was deployed, and `current` leads elsewhere: somebody has switched it by hand.
    Switched {
        /// What was deployed.
        live: Kept,
        /// The release that `current` leads to.
        current: String,
    },
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
    /// One pass: goes on with what was cut short, asks the forge, deploys what is new. While a way back
    /// fails, it is gone on with; something newer goes ahead of it.
    ///
    /// # Errors
    /// Nothing could be attempted; what serves is untouched.
    pub fn pass(
        &mut self,
        trigger: Trigger,
        journal: &mut Journal<'_>,
    ) -> Result<Verdict, PassError> {
        self.layout.sweep();
        self.dir.sweep();
        if let Some(verdict) = self.resume(journal)? {
            return Ok(verdict);
        }
        let sought = self.seek(trigger, journal);
        match (sought, self.state.stuck.clone()) {
            (Ok(Sought::New(new)), _) => Ok(self.attempt(*new, journal)?),
            (Err(PassError::State(error)), _) => Err(error.into()),
            (Err(error), None) => Err(error),
            (Ok(Sought::Nothing(verdict)), None) => Ok(verdict),
            (Err(PassError::Step(failure)), Some(stuck)) => {
                journal.note(&failure.to_string());
                Ok(self.go_on_going_back(&stuck, journal)?)
            }
            (Ok(Sought::Nothing(_)), Some(stuck)) => Ok(self.go_on_going_back(&stuck, journal)?),
        }
    }

    /// The steps of the pipeline after the fetch, and what their failures lead to.
    fn attempt(&mut self, new: New, journal: &mut Journal<'_>) -> Result<Verdict, StateError> {
        let New {
            found,
            looked,
            commit,
        } = new;
        let revision = found.revision.clone();
        let previous = self.way_back_to(None);
        let (author, subject) = match &commit {
            Ok(commit) => (commit.author.clone(), commit.subject.clone()),
            Err(_) => (String::new(), String::new()),
        };
        journal.begin(&revision, Beginning::Deploy(&subject));
        self.tell(&looked, &revision, journal);
        let started_at = (self.clock)();
        let release = self.layout.new_name(started_at, &revision);
        let mut draft = Draft {
            attempt: self.state.next_attempt,
            started_at,
            revision: revision.clone(),
            previous: previous.as_deref().and_then(|name| self.revision_of(name)),
            author: author.clone(),
            subject: subject.clone(),
            signed_by: None,
            release: None,
        };
        self.state.next_attempt += 1;
        let accepted =
            commit.and_then(|_| journal.step(Phase::Verify, || self.verify(&draft, &found)));
        match accepted {
            Ok(accepted) => {
                if accepted.rewritten {
                    journal.note("it leaves the live history, which was accepted by hand");
                }
                draft.signed_by = accepted.signed_by;
            }
            Err(failure) => return self.abandon(draft, &failure, journal),
        }
        if let Some(signer) = &draft.signed_by {
            journal.note(&format!("signed by {signer}"));
        }
        if let Some(tag) = &found.tag {
            self.state.saw_tag(tag, &revision);
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
            tag: found.tag,
            ill_before: looked.ill_before,
            phases: journal.phases().to_vec(),
        };
        self.state.trying = Some(trying.clone());
        self.save()?;
        let deployed = self.prepare(&draft, &trying, journal).and_then(|()| {
            if stop::stop_requested() {
                return Err(Failure::stopped(Phase::Build));
            }
            self.bring_up(&trying, journal)
        });
        self.settle(draft, trying, deployed, journal)
    }

    /// What was seen beforehand and stands against nothing.
    fn tell(&self, looked: &Looked, revision: &Revision, journal: &mut Journal<'_>) {
        looked.remarks.iter().for_each(|text| journal.note(text));
        if let Some(ill) = &looked.ill_before {
            journal.note(&format!(
                "before this deploy the app is not well: {}",
                ill.what
            ));
        }
        if self.state.quarantine_of(revision).is_some() {
            journal.note("it was held back, and is tried again");
        }
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
        let mut missing = Vec::new();
        journal.step(Phase::Shared, || {
            self.link_shared(&release, &mut missing)?;
            // A build goes on writing.
            if builds {
                return Ok(());
            }
            self.sync(trying, Phase::Shared)
        })?;
        missing.iter().for_each(|text: &String| journal.note(text));
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

    /// Links what outlives releases; `missing` gets a line for each file that is nowhere yet.
    fn link_shared(&self, release: &Path, missing: &mut Vec<String>) -> Result<(), Failure> {
        let linked = self.layout.link_shared(release, &self.app.deploy.shared);
        let files = linked.map_err(|(path, error)| {
            let what = format!("the shared path {}: {error}", path.display());
            match error {
                SharedError::Link(_) => Failure::refused(Phase::Shared, what),
                SharedError::Io(e) => {
                    Failure::environment(Phase::Shared, format!("{what}{}", space::advice(&e)))
                }
            }
        })?;
        missing.extend(files.iter().map(|file| {
            let (user, group) = (place::user(geteuid()), place::group(getegid()));
            format!(
                "the shared file {0} is not there yet, so its link leads nowhere; unless the app makes it \
                 itself, as root: install -m 0660 -o {user} -g {group} /dev/null {0}",
                file.display()
            )
        }));
        Ok(())
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
            Failure::environment(phase, what)
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
            probe(self.host, self.app, &release).map_err(|illness| match &trying.previous {
                // A restart that never was says nothing about the revision.
                Some(previous) if !unknown.is_empty() && self.runs_from(previous) => {
                    not_restarted(previous, &unknown)
                }
                _ => Failure::not_well(Phase::Probe, illness),
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

    pub(super) fn trouble<T>(&mut self, mut failure: Failure) -> Result<T, PassError> {
        self.count_trouble(&failure);
        // What went wrong first is what has to be known first.
        if let Err(error) = self.save() {
            failure
                .what
                .push_str(&format!("\n  and that cannot be written down: {error}"));
        }
        Err(failure.into())
    }

    pub(super) fn no_trouble(&mut self) -> Result<(), StateError> {
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
    Failure::environment(Phase::Probe, what)
}

/// `current` could not be replaced.
pub(super) fn unswitched(phase: Phase, error: &std::io::Error) -> Failure {
    let advice = space::advice(error);
    Failure::environment(phase, format!("`current` stays as it is: {error}{advice}"))
}
