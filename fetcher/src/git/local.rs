//! A repository of this machine, served by git itself through the same pipe as ssh.

use std::path::Path;
use std::process::Command;

/// The command that serves the repository at `path`.
///
/// Not libgit2's own local transport: it is many times slower and keeps whole packs in memory.
#[must_use]
pub(crate) fn command(git: &Path, path: &Path) -> Command {
    let mut command = Command::new(git);
    command.args(["upload-pack", "--"]).arg(path);
    command
}
