//! From a pass's beginning to a revision that is to be deployed: polled, looked before, fetched.

use std::collections::HashSet;
use std::fs;

use super::backoff::Trigger;
use super::failure::{Failure, FailureClass};
use super::journal::{Journal, Phase};
use super::look::Looked;
use super::pipeline::{Deployment, PassError, Verdict};
use super::source::{Commit, Found, SourceError};
use crate::release::prune::Failed;
use crate::revision::Revision;
use crate::state::record::keep_last;
use crate::state::{Kept, StateError};

/// Most tags in a row that stand for no commit.
const MOST_PASSED_OVER: usize = 16;

/// Most tags named in one line.
const NAMED: usize = 5;

/// Most tags remembered as told of.
const MOST_TOLD: usize = 1000;

/// What a pass has come upon.
pub(super) enum Sought {
    /// Nothing to deploy.
    Nothing(Verdict),
    /// A revision to deploy.
    New(Box<New>),
}

/// A revision to deploy.
pub(super) struct New {
    pub(super) found: Found,
    pub(super) looked: Looked,
    /// What the commit says, or why it is not accepted.
    pub(super) commit: Result<Commit, Failure>,
}

impl Deployment<'_> {
    /// Asks the forge for what is new, looks at what does not depend on it, and fetches it.
    ///
    /// # Errors
    /// Nothing could be attempted; what serves is untouched.
    pub(super) fn seek(
        &mut self,
        trigger: Trigger,
        journal: &mut Journal<'_>,
    ) -> Result<Sought, PassError> {
        let forced = trigger == Trigger::Forced;
        if let Some(pause) = self.pause().filter(|_| !forced) {
            return Ok(Sought::Nothing(Verdict::Paused(pause)));
        }
        if let Some(trouble) = self.waits_out().filter(|_| trigger == Trigger::Scheduled) {
            return Ok(Sought::Nothing(Verdict::Waiting(trouble)));
        }
        for _ in 0..MOST_PASSED_OVER {
            let polled = journal.step(Phase::Poll, || self.source.poll(&self.state.passed_over));
            let polled = polled.map_err(|e| e.during(Phase::Poll));
            let found = polled.or_else(|f| self.trouble(f))?;
            self.tell_unordered(&found, journal)?;
            if let Some(verdict) = self.nothing_to_do(&found.revision).filter(|_| !forced) {
                self.no_trouble()?;
                return Ok(Sought::Nothing(verdict));
            }
            let looked = journal.step(Phase::Look, || self.look());
            let looked = looked.or_else(|f| self.trouble(f))?;
            // What a process still used last time may go now; room is made before it is needed.
            self.tidy(Failed::Latest, journal);
            let fetched =
                journal.step_telling(Phase::Fetch, |tick| self.source.fetch(&found, tick));
            match fetched {
                Err(error) if error.no_commit.is_some() => self.pass_over(error, journal)?,
                fetched => {
                    let commit = match fetched.map_err(|e| e.during(Phase::Fetch)) {
                        Err(f) if f.class == FailureClass::Environment => return self.trouble(f),
                        other => other,
                    };
                    return Ok(Sought::New(Box::new(New {
                        found,
                        looked,
                        commit,
                    })));
                }
            }
        }
        self.trouble(Failure::environment(
            Phase::Fetch,
            format!(
                "{MOST_PASSED_OVER} tags in a row stand for no commit: let `tag` in {} match fewer",
                self.app.path.display()
            ),
        ))
    }

    /// Why `revision` is not deployed, if it is not.
    pub(super) fn nothing_to_do(&self, revision: &Revision) -> Option<Verdict> {
        let serves = self.serves_already(revision);
        // One that was deployed anew and failed then is live all the same, from its older release.
        if let Some(nothing @ Verdict::Nothing(_)) = serves {
            return Some(nothing);
        }
        let held = self.state.quarantine_of(revision);
        // What was held back because of a mistake in the app's file is tried again with another one.
        let same = |c: &String| *c == self.app.fingerprint;
        let held = held.filter(|q| q.configuration.as_ref().is_none_or(same));
        if let Some(held) = held {
            return Some(Verdict::Held(held.clone()));
        }
        // The way back from it comes first.
        if self.state.stuck.iter().any(|s| s.revision == *revision) {
            return Some(Verdict::Nothing(revision.clone()));
        }
        serves
    }

    /// Whether what is live is `revision`, and what `current` leads to.
    fn serves_already(&self, revision: &Revision) -> Option<Verdict> {
        let live = self.state.live.as_ref();
        let live = live.filter(|live| live.revision == *revision)?;
        // A link that leads nowhere serves nothing: the revision is deployed again.
        fs::metadata(self.layout.current_link()).ok()?;
        match self.layout.current() {
            Ok(Some(current)) if current != live.release => Some(self.switched(live, current)),
            _ => Some(Verdict::Nothing(revision.clone())),
        }
    }

    fn switched(&self, live: &Kept, current: String) -> Verdict {
        if self.state.stuck.is_some() {
            return Verdict::Nothing(live.revision.clone());
        }
        Verdict::Switched {
            live: live.clone(),
            current,
        }
    }

    /// Remembers that a tag stands for no commit, so that no poll fetches it again.
    fn pass_over(
        &mut self,
        error: SourceError,
        journal: &mut Journal<'_>,
    ) -> Result<(), StateError> {
        journal.note(&error.what);
        self.state.passed_over.extend(error.no_commit);
        keep_last(&mut self.state.passed_over, MOST_TOLD);
        self.save()
    }

    /// Names the tags that match and cannot be ordered: once, not at each poll.
    fn tell_unordered(
        &mut self,
        found: &Found,
        journal: &mut Journal<'_>,
    ) -> Result<(), StateError> {
        if self.state.unordered.len() >= MOST_TOLD {
            return Ok(());
        }
        let told: HashSet<&String> = self.state.unordered.iter().collect();
        let new = found.unordered.iter().filter(|tag| !told.contains(tag));
        let new: Vec<String> = new.cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        let named = new.iter().take(NAMED).map(String::as_str);
        let named = named.collect::<Vec<_>>().join(", ");
        let more = match new.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        journal.note(&format!(
            "passed over, as no version can be read in it: {named}{more} (pp-fetcher.toml(5) has the rule)"
        ));
        self.state.unordered.extend(new);
        self.state.unordered.truncate(MOST_TOLD);
        self.save()
    }
}
