//! A repository on this machine, served by git itself through the same kind of pipe as ssh.

use std::path::Path;
use std::process::Command;

/// Returns the command that serves the repository at `path`.
///
/// libgit2's own local transport is not used: it is many times slower and keeps whole packs in memory.
#[must_use]
pub(crate) fn command(git: &Path, path: &Path) -> Command {
    let mut command = Command::new(git);
    command.args(["upload-pack", "--"]).arg(path);
    command
}
