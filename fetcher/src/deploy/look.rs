//! What does not depend on the new code, looked at before anything is fetched: what is wrong here is
//! the configuration's fault, never the revision's.

use std::fs;
use std::path::Path;

use super::build;
use super::failure::Failure;
use super::journal::Phase;
use super::pipeline::Deployment;
use super::restart::check_permitted;
use crate::health::probe::{glance, settings};
use crate::release::place;
use crate::state::IllBefore;

/// What a look has shown that stands against nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looked {
    /// What is not as it should be, a line each.
    pub remarks: Vec<String>,
    /// What is wrong with what serves now.
    pub ill_before: Option<IllBefore>,
}

impl Deployment<'_> {
    /// Looks at directories, units, the policy, and at the live release.
    ///
    /// # Errors
    /// What would make any revision fail, with its mend.
    pub(super) fn look(&self) -> Result<Looked, Failure> {
        let fail = |what: String| Failure::environment(Phase::Look, what);
        self.layout.current().map_err(|e| fail(e.to_string()))?;
        let mut remarks = place::look(self.layout.root()).map_err(fail)?;
        remarks.extend(place::look_at_environment(&self.app.deploy.env));
        self.look_at_build().map_err(fail)?;
        let serving = self.serving();
        let release = serving.as_deref().map(|name| self.layout.release(name));
        check_permitted(self.restarter, self.host, self.app)?;
        settings(self.host, self.app, release.as_deref()).map_err(fail)?;
        Ok(Looked {
            remarks,
            ill_before: self.look_at_live(release.as_deref()),
        })
    }

    /// An absolute build script is the host's, and can be looked at now.
    fn look_at_build(&self) -> Result<(), String> {
        let Some(build) = self.app.deploy.build.as_ref().filter(|b| b.is_absolute()) else {
            return Ok(());
        };
        let (shown, file) = (build.display(), self.app.path.display());
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

    /// What is wrong with what serves, if a deploy would go back to it.
    fn look_at_live(&self, release: Option<&Path>) -> Option<IllBefore> {
        if let Some(stuck) = &self.state.stuck {
            let what = stuck.going_back.as_deref().unwrap_or_default();
            let what = what.lines().next().unwrap_or_default().to_owned();
            let key = "stuck".to_owned();
            return Some(IllBefore { what, key });
        }
        let illness = glance(self.host, self.app, release?)?;
        let what = illness.what.lines().next().unwrap_or_default().to_owned();
        let key = illness.key;
        Some(IllBefore { what, key })
    }

    /// The release that `current` leads to, if that is one to go back to.
    fn serving(&self) -> Option<String> {
        let current = self.layout.current().ok().flatten()?;
        (self.way_back_to(None)? == current).then_some(current)
    }
}
