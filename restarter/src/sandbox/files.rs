//! Landlock: forbids the front every file, every TCP port, and signals and abstract sockets of other processes.

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};

use super::SandboxError;

/// The newest Landlock ABI whose rights are restricted. Older kernels enforce those rights that they know.
const NEWEST: ABI = ABI::V6;

/// Forbids this process every file, without exception. Returns a sentence about what the kernel cannot
/// enforce, if there is anything.
///
/// # Errors
/// [`SandboxError`]: the kernel supports Landlock, but the process could not be restricted.
pub(crate) fn none() -> Result<Option<String>, SandboxError> {
    let what = "Landlock cannot be entered";
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(NEWEST)))
        .and_then(|rules| rules.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(SandboxError::at(what))?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => None,
        RulesetStatus::PartiallyEnforced => Some(
            "this kernel's Landlock knows files, but not all of TCP, signals and abstract sockets"
                .to_owned(),
        ),
        RulesetStatus::NotEnforced => Some(
            "this kernel has no Landlock: the front relies on its user and on seccomp alone"
                .to_owned(),
        ),
    })
}
