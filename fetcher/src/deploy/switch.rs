//! The switch step: syncs a release to disk, points `current` to it, and checks the result afterwards.

use std::path::PathBuf;

use super::deployment::Deployment;
use super::failure::Failure;
use super::step::Step;
use crate::space;
use crate::state::Attempt;

/// Syncs the release to disk before the switch, so that the release survives a power cut.
pub(super) fn sync(
    deployment: &Deployment<'_>,
    attempt: &Attempt,
    step: Step,
) -> Result<(), Failure> {
    deployment.layout.sync(&attempt.release).map_err(|e| {
        let what = format!(
            "{} could not be synced to disk, nothing was switched: {e}\n  \
             the kernel's log says more about the disk: journalctl -k",
            deployment.release_of(attempt).display()
        );
        Failure::environment(step, what)
    })
}

/// Points `current` to a release.
pub(super) fn switch(
    deployment: &Deployment<'_>,
    release: &str,
    step: Step,
) -> Result<(), Failure> {
    deployment.layout.switch(release).map_err(|error| {
        let advice = space::advice(&error);
        Failure::environment(step, format!("`current` stays as it is: {error}{advice}"))
    })
}

/// Checks whether `current` leads to the attempt's release, or nowhere though there was a release before. A
/// `current` that cannot be read counts as changed.
pub(super) fn is_switched_to(deployment: &Deployment<'_>, attempt: &Attempt) -> bool {
    match deployment.layout.current() {
        Ok(Some(current)) => current == attempt.release,
        Ok(None) => attempt.previous_release.is_some(),
        Err(_) => true,
    }
}

/// Checks whether every restarted unit is seen to run in `release`; `false` if that cannot be seen, or if the
/// app restarts no unit.
pub(super) fn runs_from(deployment: &Deployment<'_>, release: &str) -> bool {
    let Ok(release) = deployment.layout.release(release).canonicalize() else {
        return false;
    };
    let units = &deployment.app.restart;
    let there = |cwd: &PathBuf| cwd.starts_with(&release);
    let runs = |unit| {
        let seen = deployment.host.unit(unit).ok();
        seen.is_some_and(|seen| seen.active == "active" && seen.cwd.iter().any(there))
    };
    !units.is_empty() && units.iter().all(runs)
}
