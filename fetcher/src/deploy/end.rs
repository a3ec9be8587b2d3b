//! How an attempt ends, and what is written down about that.

use std::io::Write;

use super::backoff::hold_against;
use super::deployment::{Deployment, Verdict};
use super::failure::{Failure, FailureClass};
use super::journal::Journal;
use super::previous::was_made_before;
use super::step::Step;
use super::tidy::tidy;
use crate::release::prune::KeptFailure;
use crate::space;
use crate::state::open;
use crate::state::{Attempt, IllBefore, Outcome, Release, StateError};

/// The release is live and well.
pub(super) fn record_good(
    deployment: &mut Deployment<'_>,
    attempt: Attempt,
    journal: &mut Journal<'_>,
) -> Result<Verdict, StateError> {
    deployment.state.went_live(Release {
        revision: attempt.revision,
        name: attempt.release.clone(),
        deployed_at: (deployment.clock)(),
        tag: attempt.tag.clone(),
    });
    deployment.state.trying = None;
    deployment.state.trouble = None;
    let live = attempt.revision;
    let verdict = conclude(deployment, attempt, Outcome::Good, None, journal)?;
    if let Err(error) = deployment.source.keep(&live) {
        journal.note(&format!("the mirror could not be tidied: {}", error.what));
    }
    Ok(verdict)
}

/// Ends an attempt whose release was never begun.
pub(super) fn end_without_release(
    deployment: &mut Deployment<'_>,
    mut attempt: Attempt,
    failure: &Failure,
    journal: &mut Journal<'_>,
) -> Result<Verdict, StateError> {
    attempt.release.clear();
    record_failure(deployment, attempt, failure, journal)
}

/// Ends an attempt that has switched nothing, or whose switch somebody has changed.
pub(super) fn record_failure(
    deployment: &mut Deployment<'_>,
    attempt: Attempt,
    failure: &Failure,
    journal: &mut Journal<'_>,
) -> Result<Verdict, StateError> {
    hold_against(deployment, &attempt.revision, failure);
    let reason = Some(failure.to_string());
    conclude(deployment, attempt, failure.outcome, reason, journal)
}

/// Undoes an attempt that has switched nothing. The state is the caller's to save.
pub(super) fn discard(deployment: &mut Deployment<'_>, attempt: &mut Attempt) {
    deployment.state.trying = None;
    // The target of a rollback was good once, and stays.
    if !was_made_before(deployment, attempt) {
        // What cannot be removed now is swept, or pruned as a failed release.
        let _ = deployment.layout.remove(&attempt.release);
    }
    attempt.release.clear();
}

/// Whether somebody will want to see what a failed build has left. Not if the disk is full of it.
pub(super) fn is_worth_a_look(deployment: &Deployment<'_>, failure: &Failure) -> bool {
    failure.step == Step::Build
        && failure.class == FailureClass::Revision
        && space::is_full(&deployment.layout.releases()).is_none()
}

/// Says in the failure and in the log where a failed release stays.
pub(super) fn keep_for_inspection(
    deployment: &Deployment<'_>,
    attempt: &Attempt,
    mut failure: Failure,
) -> Failure {
    let kept = format!(
        "what it has left stays in {} until another attempt fails",
        deployment.release_of(attempt).display()
    );
    // Where the output is read, too; the message says it in any case.
    let log = open::append(&deployment.dir.log(attempt.number));
    let _ = log.and_then(|mut log| writeln!(log, "[{kept}]"));
    failure.what = format!("{}\n  {kept}", failure.what);
    failure
}

/// How the failure of a new release stands beside what was wrong before it.
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

/// What to do where nothing good ever was live.
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

/// Why neither the new release nor the one before it is well, and what happens next.
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

/// Writes down how an attempt ended: the history first, then the state. A crash in between
/// ends the same attempt twice in the history, where the last line counts.
pub(super) fn conclude(
    deployment: &mut Deployment<'_>,
    mut attempt: Attempt,
    outcome: Outcome,
    reason: Option<String>,
    journal: &mut Journal<'_>,
) -> Result<Verdict, StateError> {
    if outcome != Outcome::Stuck {
        deployment.layout.stay();
    }
    attempt.phases = journal.phases().to_vec();
    let ended = attempt.end(outcome, reason);
    if let Err(error) = deployment.dir.history().append(&ended) {
        journal.note(&format!("the history cannot be written: {error}"));
    }
    if let Err(error) = deployment.save() {
        // The error says that nothing can be written; how the attempt ended is to be known too.
        let outcome = outcome.as_str();
        let reason = ended.reason.as_deref().unwrap_or_default();
        journal.note(&format!(
            "{outcome}, which cannot be written down: {reason}"
        ));
        return Err(error);
    }
    let failed = match ended.attempt.release() {
        Some(name) if outcome != Outcome::Good => KeptFailure::This(name),
        _ => KeptFailure::Latest,
    };
    tidy(deployment, failed, journal);
    Ok(Verdict::Attempted(Box::new(ended)))
}
