//! The shared step: links from the release to the files that all releases share.

use nix::unistd::{getegid, geteuid};

use super::deployment::Deployment;
use super::failure::Failure;
use super::step::Step;
use crate::release::place;
use crate::release::shared::SharedError;
use crate::space;
use crate::state::Attempt;

/// Links the shared paths into the release. Gives a line for each shared file that does not exist yet.
pub(super) fn link(deployment: &Deployment<'_>, attempt: &Attempt) -> Result<Vec<String>, Failure> {
    let release = deployment.release_of(attempt);
    let shared = &deployment.app.deploy.shared;
    let linked = deployment.layout.link_shared(&release, shared);
    let files = linked.map_err(|(path, error)| {
        let what = format!("the shared path {}: {error}", path.display());
        match error {
            SharedError::Link(_) => Failure::refused(Step::Shared, what),
            SharedError::Io(e) => {
                Failure::environment(Step::Shared, format!("{what}{}", space::advice(&e)))
            }
        }
    })?;
    let (user, group) = (place::user(geteuid()), place::group(getegid()));
    let missing = files.iter().map(|file| {
        format!(
            "the shared file {0} is not there yet, so its link leads nowhere; unless the app makes it \
             itself, as root: install -m 0660 -o {user} -g {group} /dev/null {0}",
            file.display()
        )
    });
    Ok(missing.collect())
}
