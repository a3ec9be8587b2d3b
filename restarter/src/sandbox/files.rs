//! Landlock: no file, no TCP port, nobody else's process.

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};

use super::Failed;

/// Newest set of rights asked for. Older kernels enforce what they know.
const NEWEST: ABI = ABI::V6;

/// Forbids every file, without exception. Says what the kernel cannot enforce, if anything.
///
/// # Errors
/// [`Failed`]: the kernel knows Landlock, and yet it could not be entered.
pub fn none() -> Result<Option<String>, Failed> {
    let what = "Landlock cannot be entered";
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(NEWEST)))
        .and_then(|rules| rules.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(Failed::at(what))?;
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
