//! Landlock: the files that the worker may still reach.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};

use super::SandboxError;

/// The rights that must be enforced if any are: under Landlock's first version no file could change directories.
const NEEDED: ABI = ABI::V2;

/// The newest set of rights that is asked for. Older kernels enforce the rights that they know.
const NEWEST: ABI = ABI::V6;

/// git's system-wide configuration: libgit2 reads it whenever it opens a repository, and fails if it is unreadable.
const SYSTEM: &str = "/etc/gitconfig";

/// Forbids every file but those below the mirror and [`SYSTEM`]. Returns what the kernel cannot enforce, if anything.
///
/// # Errors
/// [`SandboxError`]: the kernel knows Landlock, and yet it could not be entered.
pub(crate) fn only(mirror: &Path) -> Result<Option<String>, SandboxError> {
    let what = "Landlock cannot be entered";
    let needed = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(NEEDED));
    let Ok(rules) = needed else {
        return Ok(Some(
            "this kernel has no Landlock (5.19 or later, switched on): the git worker can open no \
             connection and run no program, but read and write all files that its user can"
                .to_owned(),
        ));
    };
    let mut rules = rules
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(NEWEST)))
        .and_then(|rules| rules.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create)
        .map_err(SandboxError::at(what))?;
    rules = allow(rules, mirror, writing())?;
    if Path::new(SYSTEM).exists() {
        rules = allow(rules, Path::new(SYSTEM), AccessFs::ReadFile.into())?;
    }
    let status = rules.restrict_self().map_err(SandboxError::at(what))?;
    Ok(match status.ruleset {
        RulesetStatus::NotEnforced => Some("Landlock was not entered".to_owned()),
        // Rights that only newer kernels enforce (TCP, signals, abstract sockets) are forbidden by seccomp as well.
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => None,
    })
}

/// Returns the rights below the mirror: files, links and directories; no device, no socket, no execution.
fn writing() -> BitFlags<AccessFs> {
    AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::MakeSym
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer
}

fn allow(
    rules: RulesetCreated,
    path: &Path,
    rights: BitFlags<AccessFs>,
) -> Result<RulesetCreated, SandboxError> {
    let what = "a path of the git worker cannot be opened";
    let at = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let opened = PathFd::new(path).map_err(|e| SandboxError::at(what)(at(&e)))?;
    // A rule for a file may only have rights that apply to files.
    let rights = if path.is_dir() {
        rights
    } else {
        rights & AccessFs::from_file(NEWEST)
    };
    rules
        .add_rule(PathBeneath::new(opened, rights))
        .map_err(|e| SandboxError::at(what)(at(&e)))
}
