//! Only green commits: what the forge says of a commit's checks, before anything of it is fetched.

use jiff::Timestamp;

use super::backoff::{forget_failed_polls, quarantine_or_back_off};
use super::code::Code;
use super::deployment::{Deployment, PassError, Verdict};
use super::failure::Failure;
use super::recorder::StepRecorder;
use super::step::Step;
use crate::checks::Verdict as Said;
use crate::revision::Revision;
use crate::schedule::hold::Hold;
use crate::util::duration::human;

/// Asks for the checks of `revision`, if the app wants them. Gives the verdict that ends the pass, unless the commit is
/// green: a failure holds the revision back, everything else waits.
///
/// # Errors
/// The state cannot be written.
pub(super) fn check(
    deployment: &mut Deployment<'_>,
    revision: &Revision,
    recorder: &mut StepRecorder<'_>,
) -> Result<Option<Verdict>, PassError> {
    let Some(checks) = &deployment.app.checks else {
        return Ok(None);
    };
    let (app, now) = (deployment.app, (deployment.clock)());
    match deployment.checks.ask(checks, revision) {
        Said::Green => {
            if deployment.state.unchecked.take().is_some() {
                deployment.save()?;
            }
            Ok(None)
        }
        Said::Failed(why) => refuse(
            deployment,
            revision,
            &format!("the forge says of its checks: {why}"),
            recorder,
        ),
        Said::Pending(why) => {
            let since = waiting_since(deployment, revision, now)?;
            let waited = now.duration_since(since).unsigned_abs();
            if waited > checks.within {
                let why = format!(
                    "its checks have not succeeded within {}: {why}",
                    human(checks.within)
                );
                return refuse(deployment, revision, &why, recorder);
            }
            let until = since.checked_add(checks.within).ok();
            let what = format!("its checks at the forge have not succeeded yet: {why}");
            waits(deployment, revision, what, until)
        }
        // Nothing that the revision has done: it waits for as long as the forge does not say.
        Said::Unknown(why) => {
            let what = format!(
                "the forge does not say whether its checks have succeeded: {why} (`checks…` under [verify] of {})",
                app.path.display()
            );
            waits(deployment, revision, what, None)
        }
    }
}

fn waits(
    deployment: &mut Deployment<'_>,
    revision: &Revision,
    what: String,
    until: Option<Timestamp>,
) -> Result<Option<Verdict>, PassError> {
    forget_failed_polls(deployment)?;
    let hold = Hold {
        code: Code::Checks.as_str(),
        what,
        until,
    };
    Ok(Some(Verdict::Waits {
        revision: *revision,
        hold,
    }))
}

/// Since when the checks of this revision are waited for; remembers it, if it is a new one.
fn waiting_since(
    deployment: &mut Deployment<'_>,
    revision: &Revision,
    now: Timestamp,
) -> Result<Timestamp, PassError> {
    match deployment.state.unchecked {
        // After the clock was set back, the wait begins anew.
        Some((of, since)) if of == *revision && since <= now => Ok(since),
        _ => {
            deployment.state.unchecked = Some((*revision, now));
            deployment.save()?;
            Ok(now)
        }
    }
}

/// Holds the revision back.
fn refuse(
    deployment: &mut Deployment<'_>,
    revision: &Revision,
    why: &str,
    recorder: &mut StepRecorder<'_>,
) -> Result<Option<Verdict>, PassError> {
    let failure = Failure::refused(Step::Verify, why).with_code(Code::Checks);
    recorder.note(&format!("{} is held back: {failure}", revision.short()));
    deployment.state.unchecked = None;
    quarantine_or_back_off(deployment, revision, &failure);
    deployment.save()?;
    let held = deployment.state.quarantine_of(revision).cloned();
    Ok(held.map(Verdict::Held))
}
