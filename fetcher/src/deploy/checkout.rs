//! The checkout step: writes the directory of a release under another name, then renames it to its own.

use std::fs;

use super::deployment::Deployment;
use super::failure::{Failure, FailureClass};
use super::recorder::Progress;
use super::source::Candidate;
use super::step::Step;
use crate::crash;
use crate::release::Layout;
use crate::release::prune::KeptFailure;
use crate::space;
use crate::state::Attempt;

/// Writes the revision's files into the release's directory, which is complete or does not exist. If this
/// fails, perhaps for lack of space, failed releases are no longer kept either, and the files are written again.
///
/// # Errors
/// The revision's tree is not accepted, or the disk failed.
pub(super) fn check_out(
    deployment: &mut Deployment<'_>,
    candidate: &mut dyn Candidate,
    attempt: &Attempt,
    tick: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), Failure> {
    let first = write_release(deployment, candidate, attempt, tick);
    if !matches!(&first, Err(failure) if failure.class == FailureClass::Environment) {
        return first;
    }
    let keep = deployment.app.deploy.keep;
    let pruned = deployment
        .layout
        .prune(&mut deployment.state, keep, KeptFailure::None);
    if pruned.gone.is_empty() {
        return first;
    }
    write_release(deployment, candidate, attempt, tick)
}

fn write_release(
    deployment: &Deployment<'_>,
    candidate: &mut dyn Candidate,
    attempt: &Attempt,
    tick: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), Failure> {
    let layout = &deployment.layout;
    let disk = |what: String| Failure::environment(Step::Checkout, what);
    layout
        .create()
        .map_err(|(path, e)| disk(format!("{}: {e}{}", path.display(), space::advice(&e))))?;
    let unfinished = layout.unfinished(&attempt.release);
    let release = deployment.release_of(attempt);
    let live = deployment.state.live.as_ref();
    let live = live.map(|live| layout.release(&live.name));
    let written = candidate
        .check_out(live.as_deref(), &unfinished, tick)
        .map_err(|e| e.during(Step::Checkout))
        .and_then(|()| {
            crash::point("before", "release");
            Layout::write_revision(&unfinished, &attempt.revision)
                .map(drop)
                .and_then(|()| fs::rename(&unfinished, &release))
                .and_then(|()| fs::File::open(layout.releases())?.sync_all())
                .map_err(|e| disk(format!("{}: {e}{}", release.display(), space::advice(&e))))
        });
    written.inspect_err(|_| {
        // Half a release is useless; if it cannot be removed now, the next poll sweeps it.
        let _ = fs::remove_dir_all(&unfinished);
    })
}
