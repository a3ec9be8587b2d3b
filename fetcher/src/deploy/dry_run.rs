//! The dry run: tells what a pass would do, without doing it.

use super::candidate::nothing_to_do;
use super::deployment::{Deployment, Verdict};
use super::failure::Failure;
use super::look::{self, HostReport};
use super::step::Step;
use crate::release::shared::SharedPathPlan;
use crate::revision::Revision;

/// The likely result of a pass, as far as one listing tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DryRun {
    /// The pass would continue an interrupted attempt.
    GoOn(Revision),
    /// The pass would deploy nothing.
    Nothing(Verdict),
    /// The pass would deploy this revision, unless it is unsigned, its history rewritten or its tree hostile.
    Deploy {
        /// The revision that is followed.
        revision: Revision,
        /// The live revision.
        live: Option<Revision>,
        /// The obstacle that would end the pass before anything is switched.
        obstacle: Option<Failure>,
        /// The findings on the host.
        looked: HostReport,
        /// What the pass would do with each shared path.
        shared: Vec<SharedPathPlan>,
    },
    /// The pass would try a way back again that has failed.
    GoBack(Revision),
}

/// Tells what a pass would do: asks the forge and the restarter, and writes nothing.
///
/// # Errors
/// The forge cannot be asked.
pub(crate) fn predict(deployment: &Deployment<'_>) -> Result<DryRun, Failure> {
    if let Some(trying) = &deployment.state.trying {
        return Ok(DryRun::GoOn(trying.revision));
    }
    let stuck = deployment.state.stuck.as_ref().map(|stuck| stuck.revision);
    if let Some(pause) = deployment.pause() {
        let nothing = DryRun::Nothing(Verdict::Paused(pause));
        return Ok(stuck.map_or(nothing, DryRun::GoBack));
    }
    let polled = deployment.source.poll(&deployment.state.passed_over);
    if let (Err(_), Some(stuck)) = (&polled, &stuck) {
        return Ok(DryRun::GoBack(*stuck));
    }
    let revision = polled.map_err(|e| e.during(Step::Poll))?.found().revision;
    if let Some(verdict) = nothing_to_do(deployment, &revision) {
        return Ok(stuck.map_or(DryRun::Nothing(verdict), DryRun::GoBack));
    }
    if let Some(hold) = deployment
        .hold()
        .filter(|_| deployment.state.asked.is_none())
    {
        return Ok(DryRun::Nothing(Verdict::Waits { revision, hold }));
    }
    let live = deployment.state.live.as_ref().map(|live| live.revision);
    let (looked, obstacle) = match look::look(deployment) {
        Ok(looked) => (looked, None),
        Err(obstacle) => (HostReport::default(), Some(obstacle)),
    };
    Ok(DryRun::Deploy {
        revision,
        live,
        obstacle,
        looked,
        shared: deployment.layout.will_share(&deployment.app.deploy.shared),
    })
}
