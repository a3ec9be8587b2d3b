//! The first steps of a pass, poll, look and fetch: they find the revision that is to be deployed, if any.

use std::collections::HashSet;
use std::fs;

use super::backoff::{self, Trigger, forget_failed_polls, pending_wait};
use super::deployment::{Deployment, PassError, Verdict};
use super::failure::Failure;
use super::green;
use super::look::{self, HostReport};
use super::previous;
use super::recorder::{Beginning, StepRecorder};
use super::source::{Candidate, Commit, FollowedRevision, Lineage, Listing, SourceError};
use super::step::Step;
use super::tidy::tidy;
use crate::release::prune::KeptFailure;
use crate::revision::Revision;
use crate::state::record::keep_last;
use crate::state::{Asked, Attempt, Release, StateError, Unchanged};

/// Most tags in a row that are passed over in one pass because they stand for no commit.
const MOST_PASSED_OVER: usize = 16;

/// Most tags that are named in one line of output.
const NAMED: usize = 5;

/// Most tags that are remembered as already reported.
const MOST_TOLD: usize = 1000;

/// The result of [`find`].
pub(super) enum Search<'a> {
    /// Nothing to deploy.
    Nothing(Verdict),
    /// A revision to deploy.
    New(Box<New<'a>>),
}

/// A revision to deploy.
pub(super) struct New<'a> {
    pub(super) found: FollowedRevision,
    pub(super) looked: HostReport,
    /// The command by which a person has asked for the deploy, if one has.
    pub(super) by: Option<&'static str>,
    /// The revision in the mirror.
    pub(super) fetched: Box<dyn Candidate + 'a>,
}

/// Polls the forge, checks the host for obstacles that do not depend on the revision, and fetches a new
/// revision.
///
/// # Errors
/// No attempt could be made; the live release is untouched.
pub(super) fn find<'a>(
    deployment: &mut Deployment<'a>,
    trigger: Trigger,
    recorder: &mut StepRecorder<'_>,
) -> Result<Search<'a>, PassError> {
    let asked = deployment.state.asked;
    let forced = trigger == Trigger::Forced || asked == Some(Asked::Redeploy);
    if let Some(pause) = deployment.pause().filter(|_| !forced) {
        return Ok(Search::Nothing(Verdict::Paused(pause)));
    }
    if let Some(trouble) = pending_wait(deployment).filter(|_| trigger == Trigger::Scheduled) {
        return Ok(Search::Nothing(Verdict::Waiting(trouble)));
    }
    for _ in 0..MOST_PASSED_OVER {
        let listing = poll(deployment, recorder)?;
        let listing = match (asked, &deployment.state.live) {
            (Some(Asked::Redeploy), Some(live)) => listing.instead(live),
            _ => listing,
        };
        tell_unordered(deployment, listing.found(), recorder)?;
        let nothing = nothing_to_do(deployment, &listing.found().revision);
        if let Some(verdict) = nothing.filter(|_| !forced) {
            deployment.state.asked = None;
            if asked.is_some() {
                deployment.save()?;
            }
            forget_failed_polls(deployment)?;
            return Ok(Search::Nothing(verdict));
        }
        if let Some(hold) = deployment.hold().filter(|_| !forced && asked.is_none()) {
            let revision = listing.found().revision;
            forget_failed_polls(deployment)?;
            return Ok(Search::Nothing(Verdict::Waits { revision, hold }));
        }
        // What is live was green when it was deployed.
        let green = match asked {
            Some(Asked::Redeploy) => None,
            _ => green::check(deployment, &listing.found().revision, recorder)?,
        };
        if let Some(verdict) = green {
            return Ok(Search::Nothing(verdict));
        }
        let looked = recorder.step(Step::Look, || look::look(deployment));
        let looked = looked.or_else(|failure| backoff::end_poll_with(deployment, failure))?;
        // A release that a process still used last time may be removable now; space is freed before it is needed.
        tidy(deployment, KeptFailure::Latest, recorder);
        let found = listing.found().clone();
        let fetched = recorder.step_telling(Step::Fetch, |tick| listing.fetch(tick));
        return match fetched {
            Ok(mut fetched) => {
                let unchanged = match forced {
                    true => None,
                    false => unchanged(deployment, &mut *fetched, &found.revision)?,
                };
                Ok(match unchanged {
                    Some(verdict) => Search::Nothing(verdict),
                    None => Search::New(Box::new(New {
                        found,
                        looked,
                        by: trigger.by().or(asked.map(Asked::as_str)),
                        fetched,
                    })),
                })
            }
            Err(error) if error.no_commit.is_some() => {
                pass_over(deployment, error, recorder)?;
                continue;
            }
            // No revision is to blame before it is there.
            Err(error) => backoff::end_poll_with(deployment, error.during(Step::Fetch)),
        };
    }
    let file = deployment.app.path.display();
    let what = format!(
        "{MOST_PASSED_OVER} tags in a row stand for no commit: let `tag` in {file} match fewer"
    );
    backoff::end_poll_with(deployment, Failure::environment(Step::Fetch, what))
}

fn poll<'a>(
    deployment: &mut Deployment<'a>,
    recorder: &mut StepRecorder<'_>,
) -> Result<Box<dyn Listing<'a> + 'a>, PassError> {
    let source = deployment.source;
    let polled = recorder.step(Step::Poll, || source.poll(&deployment.state.passed_over));
    match polled {
        Ok(listing) => {
            deployment.polled = true;
            Ok(listing)
        }
        Err(error) => backoff::end_poll_with(deployment, error.during(Step::Poll)),
    }
}

/// Begins an attempt to deploy `new`: gives the attempt a number, and reports it.
pub(super) fn begin(
    deployment: &mut Deployment<'_>,
    new: &New<'_>,
    recorder: &mut StepRecorder<'_>,
) -> Attempt {
    let revision = new.found.revision;
    let previous_release = previous::way_back_to(deployment, None);
    let previous = previous_release.as_deref();
    let previous = previous.and_then(|name| previous::revision_of(deployment, name));
    let Commit { author, subject } = new.fetched.commit().clone();
    recorder.begin(&revision, Beginning::Deploy(&subject));
    tell(deployment, &new.looked, &revision, recorder);
    let started_at = (deployment.clock)();
    let number = deployment.state.next_attempt;
    deployment.state.next_attempt += 1;
    deployment.state.asked = None;
    Attempt {
        number,
        started_at,
        revision,
        previous,
        author,
        subject,
        signed_by: None,
        release: deployment.layout.new_name(started_at, &revision),
        phases: Vec::new(),
        by: new.by.map(str::to_owned),
        code: None,
        step: None,
        previous_release,
        going_back: None,
        tag: new.found.tag.clone(),
        ill_before: new.looked.ill_before.clone(),
        surroundings: deployment.surroundings(),
    }
}

/// Reports the remarks of the look step that do not stop the deploy.
fn tell(
    deployment: &Deployment<'_>,
    looked: &HostReport,
    revision: &Revision,
    recorder: &mut StepRecorder<'_>,
) {
    looked.remarks.iter().for_each(|text| recorder.note(text));
    if let Some(ill) = &looked.ill_before {
        let ill = &ill.what;
        recorder.note(&format!("before this deploy the app is not well: {ill}"));
    }
    if deployment.state.quarantine_of(revision).is_some() {
        recorder.note("it was held back, and is tried again");
    }
}

/// Gives the reason not to deploy `revision`, if there is a reason.
pub(super) fn nothing_to_do(deployment: &Deployment<'_>, revision: &Revision) -> Option<Verdict> {
    let serves = serves_already(deployment, revision);
    // A revision that was deployed a second time and failed is still live, from its older release.
    if let Some(nothing @ Verdict::Nothing(_)) = serves {
        return Some(nothing);
    }
    let held = deployment.state.quarantine_of(revision);
    // A revision held back because of a mistake in the app's file is tried again once that file has changed.
    let same = |c: &String| *c == deployment.app.fingerprint;
    let held = held.filter(|q| q.configuration.as_ref().is_none_or(same));
    if let Some(held) = held {
        return Some(Verdict::Held(held.clone()));
    }
    if let Some(verdict) = left_out(deployment, revision) {
        return Some(verdict);
    }
    // The way back from this revision comes first.
    if deployment
        .state
        .stuck
        .iter()
        .any(|s| s.revision == *revision)
    {
        return Some(Verdict::Nothing(*revision));
    }
    serves
}

/// Gives the verdict if an earlier poll has found that `revision` changes none of the app's `paths`.
fn left_out(deployment: &Deployment<'_>, revision: &Revision) -> Option<Verdict> {
    let live = deployment.state.live.as_ref()?.revision;
    let unchanged = Unchanged {
        revision: *revision,
        live,
        configuration: deployment.app.fingerprint.clone(),
    };
    let same = deployment.state.unchanged.as_ref() == Some(&unchanged);
    (same && serves_already(deployment, &live).is_some()).then_some(Verdict::Unchanged {
        revision: *revision,
        live,
    })
}

/// Compares the fetched revision with the live one, if only some paths matter. Remembers that none has changed, so that
/// no later poll fetches the revision again.
fn unchanged(
    deployment: &mut Deployment<'_>,
    fetched: &mut dyn Candidate,
    revision: &Revision,
) -> Result<Option<Verdict>, PassError> {
    let paths = &deployment.app.deploy.paths;
    let live = deployment.state.live.as_ref().map(|live| live.revision);
    let Some(live) = live.filter(|_| !paths.is_empty()) else {
        return Ok(None);
    };
    // A revision that was left out before is known to descend from the live one, and is nearer.
    let before = deployment.state.unchanged.as_ref();
    let before = before.filter(|before| before.live == live);
    let follows_it =
        before.is_some_and(|before| matches!(descends(fetched, &before.revision), Ok(true)));
    // Where history was rewritten, or the live revision is not in the mirror, the steps of a deploy decide.
    let follows = if follows_it {
        Ok(true)
    } else {
        descends(fetched, &live)
    };
    let compared = match follows {
        Ok(true) if serves_already(deployment, &live).is_some() => fetched.changes(&live, paths),
        Ok(_) => return Ok(None),
        Err(error) => Err(error),
    };
    match compared {
        Ok(true) => Ok(None),
        Ok(false) => {
            deployment.state.trouble = None;
            deployment.state.unchanged = Some(Unchanged {
                revision: *revision,
                live,
                configuration: deployment.app.fingerprint.clone(),
            });
            deployment.save()?;
            Ok(Some(Verdict::Unchanged {
                revision: *revision,
                live,
            }))
        }
        Err(error) => backoff::end_poll_with(deployment, error.during(Step::Fetch)),
    }
}

fn descends(fetched: &mut dyn Candidate, from: &Revision) -> Result<bool, SourceError> {
    Ok(fetched.lineage(from)? == Lineage::Descendant)
}

/// Gives the verdict if `revision` is the live revision: [`Verdict::Switched`] if `current` leads elsewhere.
fn serves_already(deployment: &Deployment<'_>, revision: &Revision) -> Option<Verdict> {
    let live = deployment.state.live.as_ref();
    let live = live.filter(|live| live.revision == *revision)?;
    // If `current` points to nothing, the app cannot run: the revision is deployed again.
    fs::metadata(deployment.layout.current_link()).ok()?;
    match deployment.layout.current() {
        Ok(Some(current)) if current != live.name => Some(switched(deployment, live, current)),
        _ => Some(Verdict::Nothing(*revision)),
    }
}

fn switched(deployment: &Deployment<'_>, live: &Release, current: String) -> Verdict {
    if deployment.state.stuck.is_some() {
        return Verdict::Nothing(live.revision);
    }
    Verdict::Switched {
        live: live.clone(),
        current,
    }
}

/// Remembers that a tag stands for no commit, so that no later poll fetches that tag again.
fn pass_over(
    deployment: &mut Deployment<'_>,
    error: SourceError,
    recorder: &mut StepRecorder<'_>,
) -> Result<(), StateError> {
    recorder.note(&error.what);
    deployment.state.passed_over.extend(error.no_commit);
    keep_last(&mut deployment.state.passed_over, MOST_TOLD);
    deployment.save()
}

/// Reports the tags that match the pattern but cannot be ordered as versions: each tag once, not at each poll.
fn tell_unordered(
    deployment: &mut Deployment<'_>,
    found: &FollowedRevision,
    recorder: &mut StepRecorder<'_>,
) -> Result<(), StateError> {
    if deployment.state.unordered.len() >= MOST_TOLD {
        return Ok(());
    }
    let told: HashSet<&String> = deployment.state.unordered.iter().collect();
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
    recorder.note(&format!(
        "passed over, as no version can be read in it: {named}{more} (pp-fetcher.toml(5) has the rule)"
    ));
    deployment.state.unordered.extend(new);
    deployment.state.unordered.truncate(MOST_TOLD);
    deployment.save()
}
