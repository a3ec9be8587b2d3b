//! The pipeline: the steps from a poll to a good release, in order, and the way back to the release before.
//! This file has the order of README's list of steps; the work of each step is a function in another module.
//!
//! [`super::step`] defines which steps are written to the state file, and how an interrupted attempt is
//! continued.

use super::backoff::{self, Trigger};
use super::build::{self, Facts};
use super::candidate::{self, Search};
use super::deployment::{Deployment, PassError, Verdict};
use super::failure::{Failure, FailureClass};
use super::recorder::{Beginning, StepRecorder};
use super::restart::restart_all;
use super::source::Candidate;
use super::step::{Resume, Step};
use super::{checkout, end, previous, shared, switch, verify};
use crate::health::probe::probe;
use crate::state::{Asked, Attempt, Outcome, Release, StateError};
use crate::stop::stop_requested;

/// Runs one pass: continues an interrupted attempt, polls the forge, deploys a new revision. While a way
/// back keeps failing, each pass tries the way back again; a newer revision is deployed instead of that.
///
/// # Errors
/// [`PassError::Step`]: no attempt has begun, and the live release is untouched. [`PassError::State`]: the state
/// cannot be read or written, perhaps after `current` was switched.
pub(crate) fn pass(
    deployment: &mut Deployment<'_>,
    trigger: Trigger,
    recorder: &mut StepRecorder<'_>,
) -> Result<Verdict, PassError> {
    deployment.layout.sweep();
    deployment.dir.sweep();
    if let Some(verdict) = resume(deployment, recorder)? {
        return Ok(verdict);
    }
    let found = candidate::find(deployment, trigger, recorder);
    match (found, deployment.state.stuck.clone()) {
        (Ok(Search::New(new)), _) => Ok(deploy(deployment, *new, recorder)?),
        (Err(PassError::State(error)), _) => Err(error.into()),
        (Err(error), None) => Err(error),
        (Ok(Search::Nothing(verdict)), None) => Ok(verdict),
        (Err(PassError::Step(failure)), Some(stuck)) => {
            recorder.note(&failure.to_string());
            Ok(try_way_back_again(deployment, stuck, recorder)?)
        }
        (Ok(Search::Nothing(_)), Some(stuck)) => {
            Ok(try_way_back_again(deployment, stuck, recorder)?)
        }
    }
}

/// Verifies, checks out, links and builds the revision: a failure in these steps leaves the live release
/// untouched. Then calls [`bring_up`].
fn deploy(
    deployment: &mut Deployment<'_>,
    new: candidate::New<'_>,
    recorder: &mut StepRecorder<'_>,
) -> Result<Verdict, StateError> {
    let mut attempt = candidate::begin(deployment, &new, recorder);
    let mut fetched = new.fetched;
    let accepted = recorder.step(Step::Verify, || {
        verify::verify(deployment, &mut *fetched, &attempt, &new.found)
    });
    match accepted {
        Ok(accepted) => accepted.note(recorder, &mut attempt),
        Err(failure) => return end::end_without_release(deployment, attempt, &failure, recorder),
    }
    if let Some(tag) = &attempt.tag {
        deployment.state.saw_tag(tag, &attempt.revision);
    }
    write_down(deployment, &mut attempt, Step::Checkout, recorder)?;
    let prepared = prepare(deployment, &mut *fetched, &attempt, recorder);
    // The worker has done its part: dropping the candidate ends the worker process.
    drop(fetched);
    let brought_up = match prepared {
        Ok(()) => write_down(deployment, &mut attempt, Step::Switch, recorder)
            .map_err(|error| Failure::environment(Step::Switch, error.to_string()))
            .and_then(|()| bring_up(deployment, &attempt, recorder)),
        Err(failure) => Err(failure),
    };
    settle(deployment, attempt, brought_up, recorder)
}

/// Runs the steps from the checkout to the build, all before `current` is switched.
fn prepare(
    deployment: &mut Deployment<'_>,
    fetched: &mut dyn Candidate,
    attempt: &Attempt,
    recorder: &mut StepRecorder<'_>,
) -> Result<(), Failure> {
    recorder.step_telling(Step::Checkout, |tick| {
        checkout::check_out(deployment, fetched, attempt, tick)
    })?;
    in_time(deployment, attempt, Step::Build)?;
    let builds = deployment.app.deploy.build.is_some();
    let missing = recorder.step(Step::Shared, || {
        let missing = shared::link(deployment, attempt)?;
        // With a build script, the release is synced after the build, which writes more files.
        if !builds {
            switch::sync(deployment, attempt, Step::Shared)?;
        }
        Ok(missing)
    })?;
    missing.iter().for_each(|text: &String| recorder.note(text));
    if builds {
        let release = deployment.release_of(attempt);
        let facts = Facts {
            app: deployment.app,
            layout: &deployment.layout,
            revision: &attempt.revision,
            previous: attempt.previous.as_ref(),
            release: &release,
        };
        recorder.step_telling(Step::Build, |tick| {
            build::build(&facts, &deployment.dir.log(attempt.number), tick)?;
            switch::sync(deployment, attempt, Step::Build)
        })?;
    }
    if stop_requested() {
        return Err(Failure::stopped(Step::Build));
    }
    in_time(deployment, attempt, Step::Switch)
}

/// Checks whether the attempt may go on: a window may have closed and a freeze begun since the poll. What a person has
/// asked for goes on.
fn in_time(deployment: &Deployment<'_>, attempt: &Attempt, step: Step) -> Result<(), Failure> {
    match deployment.hold().filter(|_| attempt.by.is_none()) {
        Some(hold) => Err(Failure::held(step, &hold)),
        None => Ok(()),
    }
}

/// Switches `current`, restarts the units and probes the app: a failure from here on leads to the way back.
fn bring_up(
    deployment: &Deployment<'_>,
    attempt: &Attempt,
    recorder: &mut StepRecorder<'_>,
) -> Result<(), Failure> {
    let (app, host) = (deployment.app, deployment.host);
    let release = deployment.release_of(attempt);
    recorder.step(Step::Switch, || {
        switch::switch(deployment, &attempt.release, Step::Switch)
    })?;
    let unknown = recorder.step_noting(Step::Restart, |note| {
        restart_all(deployment.restarter, host, app, Step::Restart, note)
    })?;
    unknown.iter().for_each(|what| recorder.note(what));
    recorder.step(Step::Probe, || {
        probe(host, app, &release).map_err(|illness| match &attempt.previous_release {
            // The units were never restarted, so the failed probe says nothing about the revision.
            Some(before) if !unknown.is_empty() && switch::runs_from(deployment, before) => {
                Failure::not_restarted(before, &unknown)
            }
            _ => Failure::not_well(Step::Probe, illness),
        })
    })
}

/// Decides by the result of an attempt: records it as good, undoes it, or begins the way back.
fn settle(
    deployment: &mut Deployment<'_>,
    mut attempt: Attempt,
    ended: Result<(), Failure>,
    recorder: &mut StepRecorder<'_>,
) -> Result<Verdict, StateError> {
    let failure = match ended {
        Ok(()) => return end::record_good(deployment, attempt, recorder),
        Err(failure) => failure,
    };
    if failure.step.is_after_switch() && switch::is_switched_to(deployment, &attempt) {
        return go_back(deployment, attempt, failure, recorder);
    }
    // After the switch, somebody has pointed `current` elsewhere; units may still run from this release.
    let switched = failure.step.is_after_switch() && failure.step != Step::Switch;
    if switched || end::should_keep_failed_release(deployment, &failure) {
        deployment.state.trying = None;
        let failure = if switched {
            failure
        } else {
            end::keep_for_inspection(deployment, &attempt, failure)
        };
        return end::record_failure(deployment, attempt, &failure, recorder);
    }
    end::discard(deployment, &mut attempt);
    end::record_failure(deployment, attempt, &failure, recorder)
}

/// Begins the way back from a release that is not well. The reason is saved in the state before anything is
/// touched, so that after a crash in this function the next pass continues the way back.
fn go_back(
    deployment: &mut Deployment<'_>,
    mut attempt: Attempt,
    mut failure: Failure,
    recorder: &mut StepRecorder<'_>,
) -> Result<Verdict, StateError> {
    recorder.note(&format!("not well: {}", failure.what));
    if let Some(ill) = &attempt.ill_before {
        // The app was not well before this deploy either: the revision is not to blame, and is retried ever later.
        failure.class = FailureClass::Environment;
        let compared = end::compare_failures(deployment, &failure, ill);
        failure.what.push_str(&compared);
    }
    backoff::quarantine_or_back_off(deployment, &attempt.revision, &failure);
    if let Some(before) = &attempt.previous_release {
        let crossing = deployment.crossing(&attempt.release, before);
        let crossed = crossing.describe(before).map(|text| format!("\n  {text}"));
        failure.what.extend(crossed);
    }
    attempt.going_back = Some(failure.to_string());
    attempt.code = Some(failure.code.as_str().to_owned());
    // The app's users come first: the way back is taken even if the state cannot be saved.
    if let Err(error) = write_down(deployment, &mut attempt, Step::BackSwitch, recorder) {
        recorder.note(&format!("going back all the same: {error}"));
    }
    finish_going_back(deployment, attempt, recorder)
}

/// Runs the rest of a way back, and records how the attempt ended.
fn finish_going_back(
    deployment: &mut Deployment<'_>,
    attempt: Attempt,
    recorder: &mut StepRecorder<'_>,
) -> Result<Verdict, StateError> {
    let reason = attempt.going_back.clone().unwrap_or_default();
    let Some(before) = attempt.previous_release.clone() else {
        let reason = format!(
            "{reason}\n  {}",
            end::explain_no_way_back(deployment, &attempt)
        );
        deployment.state.trying = None;
        return end::conclude(deployment, attempt, Outcome::Stuck, Some(reason), recorder);
    };
    let back = bring_back(deployment, &before, recorder);
    deployment.state.trying = None;
    match back {
        Ok(()) => {
            deployment.state.stuck = None;
            let outcome = Outcome::RolledBack;
            end::conclude(deployment, attempt, outcome, Some(reason), recorder)
        }
        // The old release was not well before the deploy either: the app is no worse off, so it is not stuck.
        Err(worse) if attempt.ill_before.is_some() && worse.has_brought_old_code_up() => {
            let reason = format!(
                "{reason}\n  {before} is back, and is not well, as before this deploy: {}",
                worse.what
            );
            let outcome = Outcome::RolledBack;
            end::conclude(deployment, attempt, outcome, Some(reason), recorder)
        }
        Err(worse) => {
            let reason = end::describe_stuck(deployment, &reason, &before, &worse);
            // The saved attempt has the phases up to the way back only: every poll that tries the way back again
            // adds its own phases to a copy of these, and the next poll starts from the saved phases again.
            deployment.state.stuck = Some(attempt.clone());
            end::conclude(deployment, attempt, Outcome::Stuck, Some(reason), recorder)
        }
    }
}

/// Switches to the release `before`, restarts the units and probes the app.
fn bring_back(
    deployment: &Deployment<'_>,
    before: &str,
    recorder: &mut StepRecorder<'_>,
) -> Result<(), Failure> {
    let (app, host) = (deployment.app, deployment.host);
    let release = deployment.layout.release(before);
    let served = deployment.layout.current().ok().flatten();
    if served.as_deref() == Some(before) && probe(host, app, &release).is_ok() {
        // A restart in an earlier try, or an administrator, has already brought the old release up.
        return Ok(());
    }
    recorder.step(Step::BackSwitch, || {
        switch::switch(deployment, before, Step::BackSwitch)
    })?;
    let restarted = recorder.step_noting(Step::BackRestart, |note| {
        restart_all(deployment.restarter, host, app, Step::BackRestart, note)
    });
    match restarted {
        Ok(unknown) => unknown.iter().for_each(|what| recorder.note(what)),
        // The restarter did neither the restart after the switch nor this restart: the old processes run on.
        Err(failure) if switch::runs_from(deployment, before) => recorder.note(&format!(
            "the units still run from {before}: {}",
            failure.what
        )),
        Err(failure) => return Err(failure),
    }
    recorder.step(Step::BackProbe, || {
        let probed = probe(host, app, &release);
        probed.map_err(|illness| Failure::environment(Step::BackProbe, illness.what))
    })
}

/// Tries a way back again that has failed in an earlier pass.
fn try_way_back_again(
    deployment: &mut Deployment<'_>,
    mut attempt: Attempt,
    recorder: &mut StepRecorder<'_>,
) -> Result<Verdict, StateError> {
    // If the state cannot be saved, nothing is continued: otherwise every poll would restart the app.
    deployment.save()?;
    let before = previous::way_back_to(deployment, Some(&attempt.release));
    attempt.previous_release = before.or(attempt.previous_release);
    continue_going_back(deployment, attempt, recorder)
}

fn continue_going_back(
    deployment: &mut Deployment<'_>,
    attempt: Attempt,
    recorder: &mut StepRecorder<'_>,
) -> Result<Verdict, StateError> {
    let to = attempt.previous_release.clone().unwrap_or_default();
    recorder.begin(&attempt.revision, Beginning::Back(&to));
    recorder.resume(&attempt.phases);
    finish_going_back(deployment, attempt, recorder)
}

/// Continues an interrupted attempt at its saved step; `None` if there is no such attempt, or if the attempt
/// was undone.
fn resume(
    deployment: &mut Deployment<'_>,
    recorder: &mut StepRecorder<'_>,
) -> Result<Option<Verdict>, StateError> {
    let Some(mut attempt) = previous::attempt_cut_short(deployment) else {
        return Ok(None);
    };
    // If the state cannot be saved, nothing is continued: otherwise every poll would restart the app.
    deployment.save()?;
    let mut resume = previous::step_of(deployment, &attempt).resume();
    let is_switched = switch::is_switched_to(deployment, &attempt);
    if resume == Resume::BringUp
        && !is_switched
        && in_time(deployment, &attempt, Step::Switch).is_err()
    {
        // It was ready in time, and the host was not there: what holds new revisions now holds this one.
        resume = Resume::Undo;
    }
    match resume {
        Resume::Undo => {
            deployment.state.asked = Asked::of(attempt.by.as_deref());
            end::discard(deployment, &mut attempt);
            deployment.save()?;
            Ok(None)
        }
        Resume::BringUp => {
            recorder.begin(&attempt.revision, Beginning::GoOn);
            recorder.resume(&attempt.phases);
            let brought_up = bring_up(deployment, &attempt, recorder);
            settle(deployment, attempt, brought_up, recorder).map(Some)
        }
        Resume::GoBack => continue_going_back(deployment, attempt, recorder).map(Some),
    }
}

/// Switches to the release `target` on a person's command, then restarts and probes as after any switch. The
/// revision that was live is quarantined first, so that no poll deploys that revision again meanwhile.
///
/// # Errors
/// The state cannot be written.
pub(crate) fn roll_back(
    deployment: &mut Deployment<'_>,
    target: &Release,
    recorder: &mut StepRecorder<'_>,
) -> Result<Verdict, StateError> {
    recorder.begin(&target.revision, Beginning::Rollback(&target.name));
    let mut attempt = previous::begin_rollback(deployment, target);
    write_down(deployment, &mut attempt, Step::Switch, recorder)?;
    let brought_up = bring_up(deployment, &attempt, recorder);
    settle(deployment, attempt, brought_up, recorder)
}

/// Saves in the state at which step the attempt is to be continued if it is interrupted.
fn write_down(
    deployment: &mut Deployment<'_>,
    attempt: &mut Attempt,
    step: Step,
    recorder: &StepRecorder<'_>,
) -> Result<(), StateError> {
    attempt.step = Some(step);
    attempt.phases = recorder.phases().to_vec();
    deployment.state.trying = Some(attempt.clone());
    deployment.save()
}
