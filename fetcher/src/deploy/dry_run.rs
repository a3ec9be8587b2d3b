//! What a pass would do, without doing it.

use super::candidate::nothing_to_do;
use super::deployment::{Deployment, Verdict};
use super::failure::Failure;
use super::look::{self, HostReport};
use super::step::Step;
use crate::release::shared::SharedPathPlan;
use crate::revision::Revision;

/// What a pass would come to, as far as one listing tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DryRun {
    /// It would go on with an attempt that was cut short.
    GoOn(Revision),
    /// It would not deploy anything.
    Nothing(Verdict),
    /// It would deploy this, unless it finds it unsigned, its history rewritten or its tree hostile.
    Deploy {
        /// What is followed.
        revision: Revision,
        /// What is live.
        live: Option<Revision>,
        /// What would stop it before anything is switched.
        obstacle: Option<Failure>,
        /// What was seen of the host.
        looked: HostReport,
        /// What would become of each shared path.
        shared: Vec<SharedPathPlan>,
    },
    /// It would go on with a way back that has failed.
    GoBack(Revision),
}

/// Asks the forge and the restarter, and writes nothing.
///
/// # Errors
/// The forge cannot be asked.
pub(crate) fn foresee(deployment: &Deployment<'_>) -> Result<DryRun, Failure> {
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
