//! The look step: checks what does not depend on the new revision, before anything is fetched. A fault found here
//! is the fault of the host or the configuration, never the revision's.

use std::fs;
use std::path::Path;

use super::build;
use super::deployment::Deployment;
use super::failure::Failure;
use super::previous::way_back_to;
use super::restart::check_permitted;
use super::step::Step;
use crate::config::App;
use crate::health::probe::{probe_once, settings};
use crate::process::env_file;
use crate::release::place;
use crate::state::IllBefore;

/// Findings of the look step that do not stop a deploy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HostReport {
    /// Remarks about the host's directories and the configuration, a line each.
    pub remarks: Vec<String>,
    /// The fault of the live release, if it is not well.
    pub ill_before: Option<IllBefore>,
}

/// Checks the directories, the units, the restarter's policy and the live release.
///
/// # Errors
/// An obstacle that would make any revision fail, with its remedy.
pub(super) fn look(deployment: &Deployment<'_>) -> Result<HostReport, Failure> {
    let fail = |what: String| Failure::environment(Step::Look, what);
    deployment
        .layout
        .current()
        .map_err(|e| fail(e.to_string()))?;
    let mut remarks = place::look(deployment.layout.root()).map_err(fail)?;
    remarks.extend(place::look_at_environment(&deployment.app.deploy.env));
    look_at_build(deployment.app).map_err(fail)?;
    env_file::read(&deployment.app.deploy.env_files).map_err(fail)?;
    let serving = serving(deployment);
    let release = serving
        .as_deref()
        .map(|name| deployment.layout.release(name));
    check_permitted(deployment.restarter, deployment.host, deployment.app)?;
    settings(deployment.host, deployment.app, release.as_deref()).map_err(fail)?;
    Ok(HostReport {
        remarks,
        ill_before: look_at_live(deployment, release.as_deref()),
    })
}

/// Checks a build script with an absolute path: the script belongs to the host, so it can be checked now.
///
/// # Errors
/// The script is not there, or cannot be run; with the remedy.
pub(crate) fn look_at_build(app: &App) -> Result<(), String> {
    let Some(build) = app.deploy.build.as_ref().filter(|b| b.is_absolute()) else {
        return Ok(());
    };
    let (shown, file) = (build.display(), app.path.display());
    match fs::metadata(build) {
        Ok(found) if build::may_be_run(&found) => Ok(()),
        Ok(found) if found.is_file() => Err(format!(
            "the build script {shown} is not executable\n  as its owner: chmod a+x {shown}"
        )),
        Ok(_) => Err(format!(
            "the build script {shown} is no regular file\n  `build` in {file} names it"
        )),
        Err(error) => Err(format!(
            "the build script {shown} cannot be found on this host: {error}\n  `build` in {file} names it; a \
             script of the repository is written without / at its beginning"
        )),
    }
}

/// Gives the fault of the live release, if a failed deploy would go back to that release.
fn look_at_live(deployment: &Deployment<'_>, release: Option<&Path>) -> Option<IllBefore> {
    if let Some(stuck) = &deployment.state.stuck {
        let what = stuck.going_back.as_deref().unwrap_or_default();
        let what = what.lines().next().unwrap_or_default().to_owned();
        let key = "stuck".to_owned();
        return Some(IllBefore { what, key });
    }
    let illness = probe_once(deployment.host, deployment.app, release?)?;
    let what = illness.what.lines().next().unwrap_or_default().to_owned();
    let key = illness.key;
    Some(IllBefore { what, key })
}

/// Gives the release that `current` leads to, if a way back would lead to that release.
fn serving(deployment: &Deployment<'_>) -> Option<String> {
    let current = deployment.layout.current().ok().flatten()?;
    (way_back_to(deployment, None)? == current).then_some(current)
}
