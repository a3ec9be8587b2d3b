//! Finds what there was before an attempt: the release that a way back leads to, the revision that a release
//! was made from, and the step at which an attempt was interrupted.

use super::deployment::Deployment;
use super::step::Step;
use crate::revision::Revision;
use crate::state::{Attempt, Outcome, Release};

/// Gives the release that a way back leads to: the release that `current` links to, if it ever was good;
/// else the last good release on disk. Never `but`, and never a release that is recorded as not good.
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

/// Gives every release that is known to have been good, the latest first.
pub(super) fn good_releases<'a>(
    deployment: &'a Deployment<'_>,
) -> impl Iterator<Item = &'a Release> {
    let state = &deployment.state;
    state.live.iter().chain(&state.earlier)
}

/// Checks whether a release ever was good. A release without any record counts as good: the loss of the state
/// and the history must not cost the way back.
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

/// Gives the revision that a release was made from.
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

/// Checks whether the release of an attempt was good before, as the target of a rollback was.
pub(super) fn was_made_before(deployment: &Deployment<'_>, attempt: &Attempt) -> bool {
    good_releases(deployment).any(|release| release.name == attempt.release)
}

/// Gives the attempt that was interrupted, if there is one.
pub(super) fn attempt_cut_short(deployment: &Deployment<'_>) -> Option<Attempt> {
    let mut attempt = deployment.state.trying.clone()?;
    if attempt.previous.is_none() {
        // An older version of pp-fetcher, which did not save `previous`, wrote this state.
        let before = attempt.previous_release.as_deref();
        attempt.previous = before.and_then(|name| revision_of(deployment, name));
    }
    Some(attempt)
}

/// Gives the step at which an interrupted attempt is continued. The release that `current` links to overrides
/// the saved step.
pub(super) fn step_of(deployment: &Deployment<'_>, attempt: &Attempt) -> Step {
    if attempt.going_back.is_some() {
        return Step::BackSwitch;
    }
    // The release that a rollback goes to was made long ago: there is nothing to undo, only to continue.
    if was_made_before(deployment, attempt) {
        return Step::Switch;
    }
    let current = deployment.layout.current().ok().flatten();
    if current.as_deref() == Some(&attempt.release) {
        return Step::Switch;
    }
    // Whoever has pointed `current` elsewhere meanwhile did not mean this release to go live.
    match attempt.step.unwrap_or_default() {
        step if step.is_after_switch() && current != attempt.previous_release => Step::Checkout,
        step => step,
    }
}

/// Begins an attempt that goes to the release `target` on a person's command. The revision that is left for it is
/// quarantined: no poll deploys that revision again meanwhile.
pub(super) fn begin_rollback(deployment: &mut Deployment<'_>, target: &Release) -> Attempt {
    let started_at = (deployment.clock)();
    let live = deployment.state.live.as_ref().map(|live| live.revision);
    let stuck = deployment.state.stuck.as_ref().map(|stuck| stuck.revision);
    // What is followed may differ from the live revision outside of the app's `paths` alone: it is left as well.
    let unchanged = deployment.state.unchanged.as_ref();
    let same = unchanged.filter(|same| Some(same.live) == live);
    let same = same.map(|same| same.revision);
    let left = live.into_iter().chain(stuck).chain(same);
    for left in left.filter(|left| *left != target.revision) {
        let reason = format!("left by hand for {}", target.name);
        deployment
            .state
            .quarantine(&left, &reason, started_at, None);
    }
    // Whatever was asked for before: this is what the person wants now.
    deployment.state.asked = None;
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
        by: Some("rollback".to_owned()),
        code: None,
        step: None,
        previous_release: way_back_to(deployment, Some(&target.name)),
        going_back: None,
        tag: target.tag.clone(),
        ill_before: None,
        surroundings: target.surroundings.clone(),
    }
}
