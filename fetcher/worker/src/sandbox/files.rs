//! Landlock: which files.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};

use super::SandboxError;

/// What must be enforced if anything is: with the first version no file could change directories.
const NEEDED: ABI = ABI::V2;

/// Newest set of rights asked for. Older kernels enforce what they know.
const NEWEST: ABI = ABI::V6;

/// libgit2 reads it whenever it opens a repository, and fails if it is there and cannot be read.
const SYSTEM: &str = "/etc/gitconfig";

/// Forbids every file but those below the mirror. Says what the kernel cannot enforce, if anything.
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
        // What newer kernels add (TCP, signals, abstract sockets) seccomp forbids as well.
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => None,
    })
}

/// Files, links and directories; no device, no socket, nothing to execute.
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
    // A rule for a file may hold rights of files only.
    let rights = if path.is_dir() {
        rights
    } else {
        rights & AccessFs::from_file(NEWEST)
    };
    rules
        .add_rule(PathBeneath::new(opened, rights))
        .map_err(|e| SandboxError::at(what)(at(&e)))
}
