//! Functions that end an attempt: they write its outcome to the state and to the history.

use std::io::Write;

use super::backoff::quarantine_or_back_off;
use super::deployment::{Deployment, Verdict};
use super::failure::{Failure, FailureClass};
use super::previous::was_made_before;
use super::recorder::StepRecorder;
use super::step::Step;
use super::tidy::tidy;
use crate::release::prune::KeptFailure;
use crate::space;
use crate::state::open;
use crate::state::{Asked, Attempt, IllBefore, Outcome, Release, StateError};

/// Records that the attempt's release is live and well.
pub(super) fn record_good(
    deployment: &mut Deployment<'_>,
    attempt: Attempt,
    recorder: &mut StepRecorder<'_>,
) -> Result<Verdict, StateError> {
    deployment.state.went_live(Release {
        revision: attempt.revision,
        name: attempt.release.clone(),
        deployed_at: (deployment.clock)(),
        tag: attempt.tag.clone(),
        surroundings: attempt.surroundings.clone(),
    });
    deployment.state.trying = None;
    deployment.state.trouble = None;
    let live = attempt.revision;
    let verdict = conclude(deployment, attempt, Outcome::Good, None, recorder)?;
    if let Err(error) = deployment.source.keep(&live) {
        recorder.note(&format!("the mirror could not be tidied: {}", error.what));
    }
    Ok(verdict)
}

/// Ends an attempt that failed before its release directory was begun.
pub(super) fn end_without_release(
    deployment: &mut Deployment<'_>,
    mut attempt: Attempt,
    failure: &Failure,
    recorder: &mut StepRecorder<'_>,
) -> Result<Verdict, StateError> {
    attempt.release.clear();
    record_failure(deployment, attempt, failure, recorder)
}

/// Ends a failed attempt that has not switched `current`, or after whose switch somebody has pointed `current`
/// elsewhere.
pub(super) fn record_failure(
    deployment: &mut Deployment<'_>,
    mut attempt: Attempt,
    failure: &Failure,
    recorder: &mut StepRecorder<'_>,
) -> Result<Verdict, StateError> {
    attempt.code = Some(failure.code.as_str().to_owned());
    if failure.class == FailureClass::Environment {
        // It is tried again, and then still what a person has asked for.
        deployment.state.asked = Asked::of(attempt.by.as_deref());
    }
    quarantine_or_back_off(deployment, &attempt.revision, failure);
    let reason = Some(failure.to_string());
    conclude(deployment, attempt, failure.outcome, reason, recorder)
}

/// Undoes an attempt that has not switched `current`. The caller has to save the state.
pub(super) fn discard(deployment: &mut Deployment<'_>, attempt: &mut Attempt) {
    deployment.state.trying = None;
    // The release that a rollback goes to was good once, and stays.
    if !was_made_before(deployment, attempt) {
        // A release that cannot be removed now is swept later, or pruned as a failed release.
        let _ = deployment.layout.remove(&attempt.release);
    }
    attempt.release.clear();
}

/// Checks whether the files of a failed build are worth keeping for inspection. Not if the disk is full.
pub(super) fn should_keep_failed_release(deployment: &Deployment<'_>, failure: &Failure) -> bool {
    failure.step == Step::Build
        && failure.class == FailureClass::Revision
        && space::is_full(&deployment.layout.releases()).is_none()
}

/// Adds to the failure and to the log where the files of the failed release are kept.
pub(super) fn keep_for_inspection(
    deployment: &Deployment<'_>,
    attempt: &Attempt,
    mut failure: Failure,
) -> Failure {
    let kept = format!(
        "what it has left stays in {} until another attempt fails",
        deployment.release_of(attempt).display()
    );
    // People who read the build's output find the place in the log too; the failure's message has it in any case.
    let log = open::append(&deployment.dir.log(attempt.number));
    let _ = log.and_then(|mut log| writeln!(log, "[{kept}]"));
    failure.what = format!("{}\n  {kept}", failure.what);
    failure
}

/// Says how the failure of a new release compares with the failure seen before the deploy.
pub(super) fn compare_failures(
    deployment: &Deployment<'_>,
    failure: &Failure,
    ill: &IllBefore,
) -> String {
    let file = deployment.app.path.display();
    if failure.key.as_ref() == Some(&ill.key) {
        format!(
            "\n  the release before was not well in the same way before this deploy, so the cause is likely \
                 outside of the revision: `url` and the other keys of [health] in {file}, or what both releases \
                 need (a database, say)\n  the revision is not held back: the next polls try it again, ever less \
                 often, and at once when {file} has changed"
        )
    } else {
        format!(
            "\n  the release before was not well either before this deploy ({}); the revision is not held \
                 back: the next polls try it again, ever less often",
            ill.what
        )
    }
}

/// Says what to do when no earlier release was good, so that there is no way back.
pub(super) fn explain_no_way_back(deployment: &Deployment<'_>, attempt: &Attempt) -> String {
    let app = &deployment.app.name;
    let held = deployment.state.quarantine_of(&attempt.revision).is_some();
    if held {
        format!(
            "no release before it was good, so there is none to go back to: push a commit that mends it, \
                 which the next poll deploys; if the cause is outside of the repository (its unit, a database), \
                 mend that, and then: pp-fetcher retry {app}"
        )
    } else {
        format!(
            "no release before it was good, so there is none to go back to; the next polls try it again, \
                 ever less often; when the cause is mended: pp-fetcher poll {app}"
        )
    }
}

/// Says why neither the new release nor the release before it is well, and what happens next.
pub(super) fn describe_stuck(
    deployment: &Deployment<'_>,
    reason: &str,
    before: &str,
    worse: &Failure,
) -> String {
    let app = &deployment.app.name;
    format!(
        "{reason}\n  and the way back to {before} did not end well: {}\n  each poll goes on with \
         the way back; a newer commit goes ahead of it, and so does this one again after \
         `pp-fetcher retry {app}`; `pp-fetcher rollback {app}` goes to an older release, if there \
         is one",
        worse.what
    )
}

/// Writes down how an attempt ended: the history first, then the state. After a crash in between, the
/// history has two lines for the same attempt, and the last line counts.
pub(super) fn conclude(
    deployment: &mut Deployment<'_>,
    mut attempt: Attempt,
    outcome: Outcome,
    reason: Option<String>,
    recorder: &mut StepRecorder<'_>,
) -> Result<Verdict, StateError> {
    if outcome != Outcome::Stuck {
        deployment.layout.remove_back_link();
    }
    attempt.phases = recorder.phases().to_vec();
    let ended = attempt.end(outcome, reason);
    if let Err(error) = deployment.dir.history().append(&ended) {
        recorder.note(&format!("the history cannot be written: {error}"));
    }
    if let Err(error) = deployment.save() {
        // The error only says that the state cannot be written; the outcome has to be reported too.
        let outcome = outcome.as_str();
        let reason = ended.reason.as_deref().unwrap_or_default();
        recorder.note(&format!(
            "{outcome}, which cannot be written down: {reason}"
        ));
        return Err(error);
    }
    let failed = match ended.attempt.release() {
        Some(name) if outcome != Outcome::Good => KeptFailure::This(name),
        _ => KeptFailure::Latest,
    };
    tidy(deployment, failed, recorder);
    Ok(Verdict::Attempted(Box::new(ended)))
}
