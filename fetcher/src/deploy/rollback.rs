//! Chooses the earlier release for a rollback that a person has asked for.

use thiserror::Error;

use super::deployment::Deployment;
use crate::state::Release;

/// Why there is no release to go back to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum NoWayBack {
    /// Only one release was ever good, or the other good releases are no longer on disk.
    #[error(
        "there is no earlier good release on disk, so nothing was changed\n  push a commit that mends \
         what is live: it is deployed by the next poll"
    )]
    NoEarlier,
    /// The release asked for is live.
    #[error("{0} is the live release, so there is nothing to change")]
    Live(String),
    /// The name asked for is not a good release of this app.
    #[error("{wanted} is not a good release on disk, so nothing was changed; there is {}", there_is(.known))]
    Unknown {
        /// The name or revision asked for.
        wanted: String,
        /// The good releases on disk.
        known: Vec<String>,
    },
}

fn there_is(known: &[String]) -> String {
    if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    }
}

/// Gives the release that a rollback goes to: `wanted`, by its name or its revision's first digits, or else
/// the last good release before the live one.
///
/// # Errors
/// There is no such release.
pub(crate) fn choose(
    deployment: &Deployment<'_>,
    wanted: Option<&str>,
) -> Result<Release, NoWayBack> {
    let on_disk = deployment.layout.on_disk();
    let there = |release: &&Release| on_disk.contains(&release.name);
    let current = deployment.layout.current().ok().flatten();
    let serves = |release: &Release| current.as_ref() == Some(&release.name);
    // The live release can be a target too if `current` does not lead to it, or if a way back is stuck.
    let live = deployment.state.live.iter();
    let live = live.filter(|live| !serves(live) || deployment.state.stuck.is_some());
    let mut good = live.chain(&deployment.state.earlier).filter(there);
    let Some(wanted) = wanted else {
        // The release that `current` leads to is not chosen: a failed way back to it is not tried once more.
        return good
            .find(|release| !serves(release))
            .cloned()
            .ok_or(NoWayBack::NoEarlier);
    };
    let is = |release: &Release| {
        release.name == wanted
            || (wanted.len() >= 4 && release.revision.to_string().starts_with(wanted))
    };
    let is_live = deployment
        .state
        .live
        .as_ref()
        .is_some_and(|live| is(live) && serves(live));
    if is_live && deployment.state.stuck.is_none() {
        return Err(NoWayBack::Live(wanted.to_owned()));
    }
    let known = good.clone().map(|release| release.name.clone()).collect();
    let unknown = NoWayBack::Unknown {
        wanted: wanted.to_owned(),
        known,
    };
    good.find(|release| is(release)).cloned().ok_or(unknown)
}
