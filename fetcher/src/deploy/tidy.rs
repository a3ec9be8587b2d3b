//! The removal of old releases.

use super::deployment::Deployment;
use super::recorder::StepRecorder;
use crate::release::prune::KeptFailure;

/// Removes the releases that need not stay from the disk and from the state. No step depends on this.
pub(super) fn tidy(
    deployment: &mut Deployment<'_>,
    failed: KeptFailure<'_>,
    recorder: &mut StepRecorder<'_>,
) {
    let remembered = deployment.state.earlier.len();
    let on_disk = deployment.layout.on_disk();
    if deployment
        .state
        .live
        .iter()
        .any(|l| on_disk.contains(&l.name))
    {
        // A release that was removed just before a crash is still in the state, and would take the place of a release
        // to go back to.
        deployment
            .state
            .earlier
            .retain(|e| on_disk.contains(&e.name));
    }
    let keep = deployment.app.deploy.keep;
    let pruned = deployment.layout.prune(&mut deployment.state, keep, failed);
    pruned.left.iter().for_each(|what| recorder.note(what));
    if deployment.state.earlier.len() != remembered
        && let Err(error) = deployment.save()
    {
        recorder.note(&format!(
            "that old releases are gone is not written down: {error}"
        ));
    }
}
