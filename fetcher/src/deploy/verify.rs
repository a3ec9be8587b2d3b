//! The verify step: checks whether a revision may be deployed at all.

use std::cmp::Ordering;

use super::code::Code;
use super::deployment::Deployment;
use super::failure::{Failure, FailureClass};
use super::recorder::StepRecorder;
use super::source::{Candidate, FollowedRevision, Lineage, SourceError};
use super::step::Step;
use crate::config::settings::Follow;
use crate::git::version::Version;
use crate::revision::Revision;
use crate::state::{Asked, Attempt};

/// The result of the verification of a revision that may be deployed.
#[derive(Debug)]
pub(super) struct Accepted {
    /// The signer of the revision, if the app requires signatures.
    signed_by: Option<String>,
    /// Whether the revision leaves the live history, and somebody has accepted that.
    rewritten: bool,
}

impl Accepted {
    /// Reports the result to the recorder, and keeps the signer of the revision in the attempt.
    pub(super) fn note(self, recorder: &mut StepRecorder<'_>, attempt: &mut Attempt) {
        if self.rewritten {
            recorder.note("it leaves the live history, which was accepted by hand");
        }
        if let Some(signer) = &self.signed_by {
            recorder.note(&format!("signed by {signer}"));
        }
        attempt.signed_by = self.signed_by;
    }
}

/// Checks that the revision is signed if the app requires signatures, and that it follows the live revision
/// (a branch by descent, a tag by a higher version) or was accepted.
///
/// # Errors
/// The revision is not signed as required, or does not follow the live revision.
pub(super) fn verify(
    deployment: &Deployment<'_>,
    candidate: &mut dyn Candidate,
    attempt: &Attempt,
    found: &FollowedRevision,
) -> Result<Accepted, Failure> {
    // The live revision was verified when it was deployed, by a tag's signature perhaps, which is not listed any more.
    let is_live = deployment
        .state
        .live
        .as_ref()
        .is_some_and(|live| live.revision == attempt.revision);
    let signed_by = match attempt.by.as_deref() == Some(Asked::Redeploy.as_str()) && is_live {
        true => None,
        false => signer(deployment, candidate)?,
    };
    let rewritten = match leaves_the_line(deployment, candidate, attempt, found)? {
        Some(why) if !deployment.state.accepts_rewrite(&attempt.revision) => {
            return Err(refuse(deployment, &attempt.revision, &why));
        }
        leaves => leaves.is_some(),
    };
    Ok(Accepted {
        signed_by,
        rewritten,
    })
}

/// Gives why the revision does not follow the live revision; `None` if it does, or need not.
fn leaves_the_line(
    deployment: &Deployment<'_>,
    candidate: &mut dyn Candidate,
    attempt: &Attempt,
    found: &FollowedRevision,
) -> Result<Option<String>, Failure> {
    if !deployment.app.fast_forward_only {
        return Ok(None);
    }
    let new = &attempt.revision;
    if let Some(tag) = &found.tag {
        if let Some(before) = deployment
            .state
            .seen_tag(tag)
            .filter(|before| *before != new)
        {
            return Ok(Some(format!(
                "the tag {tag} was moved from {} to {}: a tag that was deployed, or tried, is not to change",
                before.short(),
                new.short()
            )));
        }
        // A tagged release may be on a branch of its own: the version counts, not the descent.
        if let Some(ordered) = by_version(deployment, tag, new) {
            return Ok(ordered.err());
        }
    }
    // The live revision from the state; if the state is lost, the revision that the live release was made from,
    // so that losing the state does not lose the protection against a downgrade.
    let live = deployment.state.live.as_ref().map(|live| live.revision);
    let Some(live) = live.or(attempt.previous).filter(|live| live != new) else {
        return Ok(None);
    };
    by_descent(candidate, &live, new)
}

/// Compares the version of the new tag with that of the live tag; `None` if the live release came from no tag
/// that can be read as a version.
fn by_version(
    deployment: &Deployment<'_>,
    tag: &str,
    new: &Revision,
) -> Option<Result<(), String>> {
    let Follow::Tag(pattern) = &deployment.app.follow else {
        return None;
    };
    let live = deployment.state.live.as_ref()?;
    let live_tag = live.tag.as_ref().filter(|_| live.revision != *new)?;
    let (old, version) = (Version::of(pattern, live_tag)?, Version::of(pattern, tag)?);
    let (new, old_revision) = (new.short(), live.revision.short());
    Some(match version.cmp(&old) {
        Ordering::Greater => Ok(()),
        Ordering::Less => Err(format!(
            "{tag} ({new}) is older than the live version {live_tag} ({old_revision}), whose tag is no longer \
             there or no longer matches"
        )),
        Ordering::Equal => Err(format!(
            "{tag} ({new}) is the same version as the live {live_tag} ({old_revision}), and another revision"
        )),
    })
}

fn by_descent(
    candidate: &mut dyn Candidate,
    live: &Revision,
    new: &Revision,
) -> Result<Option<String>, Failure> {
    let during = |e: SourceError| e.during(Step::Verify);
    let (shown, live_shown) = (new.short(), live.short());
    Ok(match candidate.lineage(live).map_err(during)? {
        Lineage::Descendant => None,
        Lineage::Ancestor => Some(format!(
            "{shown} is older than the live revision {live_shown}, which descends from it"
        )),
        Lineage::Other => Some(format!(
            "{shown} is on another line than the live revision {live_shown}: it does not descend from it, so the \
             history was rewritten, or this is another branch"
        )),
    })
}

fn refuse(deployment: &Deployment<'_>, revision: &Revision, why: &str) -> Failure {
    let app = &deployment.app.name;
    let what = format!(
        "{why}\n  push what goes on from the live one; or, if this is meant, accept it: pp-fetcher \
         accept-rewrite {app} {revision}"
    );
    Failure::refused(Step::Verify, what).with_code(Code::History)
}

/// Gives the signer of the revision; `None` if the app does not require signatures.
fn signer(
    deployment: &Deployment<'_>,
    candidate: &mut dyn Candidate,
) -> Result<Option<String>, Failure> {
    let Some(allowed) = &deployment.app.allowed_signers else {
        return Ok(None);
    };
    let signer = candidate.signer(allowed).map_err(|mut error| {
        if error.class == FailureClass::Revision {
            error.what.push_str(&format!(
                "\n  it is not tried again by itself; `pp-fetcher retry {}` lets the next poll try it",
                deployment.app.name
            ));
        }
        error.during(Step::Verify)
    })?;
    Ok(Some(signer))
}
