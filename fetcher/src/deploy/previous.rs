//! What there was before an attempt: the release that is gone back to, what releases were made of, and the
//! step at which an attempt was cut short.

use super::deployment::Deployment;
use super::step::Step;
use crate::revision::Revision;
use crate::state::{Attempt, Outcome, Release};

/// The release that an attempt goes back to: what serves, if it ever was good; else the last good
/// one on disk. Never `but`, and never one that never was good.
pub(super) fn way_back_to(deployment: &Deployment<'_>, but: Option<&str>) -> Option<String> {
    let layout = &deployment.layout;
    let current = layout.current().ok().flatten();
    let good = good_releases(deployment).map(|release| release.name.clone());
    current
        .filter(|name| was_good(deployment, name))
        .into_iter()
        .chain(good)
        .find(|name| but != Some(name) && layout.release(name).is_dir())
}

/// Every release that is known to have been good, the latest first.
pub(super) fn good_releases<'a>(
    deployment: &'a Deployment<'_>,
) -> impl Iterator<Item = &'a Release> {
    let state = &deployment.state;
    state.live.iter().chain(&state.earlier)
}

/// Whether a release ever was good. One that nobody knows anything of may have been: a state and a
/// history that were lost must not cost the way back.
fn was_good(deployment: &Deployment<'_>, name: &str) -> bool {
    if good_releases(deployment).any(|release| release.name == name) {
        return true;
    }
    let history = deployment.dir.history().read().unwrap_or_default();
    let mut of_it = history.iter().rev();
    of_it
        .find(|ended| ended.attempt.release() == Some(name))
        .is_none_or(|ended| ended.outcome == Outcome::Good)
}

/// What a release was made of.
pub(super) fn revision_of(deployment: &Deployment<'_>, name: &str) -> Option<Revision> {
    let known = good_releases(deployment).find(|release| release.name == name);
    let known = known.map(|release| release.revision);
    let known = known.or_else(|| deployment.layout.revision_of(name));
    known.or_else(|| {
        let history = deployment.dir.history().read().ok()?;
        let mut of_it = history.into_iter().rev();
        of_it
            .find(|ended| ended.attempt.release() == Some(name))
            .map(|ended| ended.attempt.revision)
    })
}

/// Whether the release of an attempt was good once: the target of a rollback.
pub(super) fn was_made_before(deployment: &Deployment<'_>, attempt: &Attempt) -> bool {
    good_releases(deployment).any(|release| release.name == attempt.release)
}

/// The attempt that was cut short, if there is one.
pub(super) fn attempt_cut_short(deployment: &Deployment<'_>) -> Option<Attempt> {
    let mut attempt = deployment.state.trying.clone()?;
    if attempt.previous.is_none() {
        // Written by a version that did not write that down.
        let before = attempt.previous_release.as_deref();
        attempt.previous = before.and_then(|name| revision_of(deployment, name));
    }
    Some(attempt)
}

/// The step at which an attempt is gone on with. What `current` leads to has the last word over what is
/// written down.
pub(super) fn step_of(deployment: &Deployment<'_>, attempt: &Attempt) -> Step {
    if attempt.going_back.is_some() {
        return Step::BackSwitch;
    }
    // The target of a rollback was made long ago: there is nothing to undo, only to go on with.
    if was_made_before(deployment, attempt) {
        return Step::Switch;
    }
    let current = deployment.layout.current().ok().flatten();
    if current.as_deref() == Some(&attempt.release) {
        return Step::Switch;
    }
    // Whoever has led `current` elsewhere meanwhile did not mean this release to go live.
    match attempt.step.unwrap_or_default() {
        step if step.is_after_switch() && current != attempt.previous_release => Step::Checkout,
        step => step,
    }
}

/// A new attempt that goes to `target` by hand. What is left for it is quarantined: no poll deploys that again
/// meanwhile.
pub(super) fn begin_rollback(deployment: &mut Deployment<'_>, target: &Release) -> Attempt {
    let started_at = (deployment.clock)();
    let live = deployment.state.live.as_ref().map(|live| live.revision);
    let stuck = deployment.state.stuck.as_ref().map(|stuck| stuck.revision);
    let left = live.into_iter().chain(stuck);
    for left in left.filter(|left| *left != target.revision) {
        let reason = format!("left by hand for {}", target.name);
        deployment
            .state
            .quarantine(&left, &reason, started_at, None);
    }
    let number = deployment.state.next_attempt;
    deployment.state.next_attempt += 1;
    Attempt {
        number,
        started_at,
        revision: target.revision,
        previous: live,
        author: String::new(),
        subject: format!("rolled back by hand to {}", target.name),
        signed_by: None,
        release: target.name.clone(),
        phases: Vec::new(),
        step: None,
        previous_release: way_back_to(deployment, Some(&target.name)),
        going_back: None,
        tag: target.tag.clone(),
        ill_before: None,
    }
}
