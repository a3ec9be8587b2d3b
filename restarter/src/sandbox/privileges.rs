//! Checks and gives up privileges: user, groups and capabilities.

use caps::CapSet;
use nix::sys::prctl;
use nix::unistd::{getgroups, getresgid, getresuid, setgroups};

use super::SandboxError;

/// Prepares the monitor, as root, before it starts the front: empties the bounding set, so that no
/// capability can be regained by executing a program, and drops all supplementary groups. The front inherits
/// both.
///
/// # Errors
/// [`SandboxError`]: a capability or the groups could not be dropped.
pub(crate) fn prepare() -> Result<(), SandboxError> {
    for capability in caps::all() {
        // A capability that this kernel does not know cannot be dropped, and need not be.
        if caps::has_cap(None, CapSet::Bounding, capability).unwrap_or(false) {
            let what = "a capability cannot be dropped from the bounding set";
            caps::drop(None, CapSet::Bounding, capability).map_err(SandboxError::at(what))?;
        }
    }
    setgroups(&[]).map_err(SandboxError::at("supplementary groups cannot be dropped"))
}

/// Makes sure that no user or group id of this process is root's and that the process is in no group but its
/// own.
///
/// # Errors
/// [`SandboxError`]: one of the ids is root's or differs from the others, or there is another group.
pub(crate) fn assert_unprivileged() -> Result<(), SandboxError> {
    let what = "the front is privileged";
    let (uid, gid) = (
        getresuid().map_err(SandboxError::at(what))?,
        getresgid().map_err(SandboxError::at(what))?,
    );
    let groups = getgroups().map_err(SandboxError::at(what))?;
    let ids = [uid.real, uid.effective, uid.saved].map(|id| id.as_raw());
    let gids = [gid.real, gid.effective, gid.saved].map(|id| id.as_raw());
    let one = |ids: [u32; 3]| ids.iter().all(|id| *id != 0 && Some(id) == ids.first());
    // Some kernels list the effective group among the supplementary ones.
    let foreign = groups.iter().any(|group| *group != gid.effective);
    if one(ids) && one(gids) && !foreign {
        Ok(())
    } else {
        Err(SandboxError::at(what)(format!(
            "uids {ids:?}, gids {gids:?}, groups {groups:?}"
        )))
    }
}

/// Drops every capability and the ability to gain any; forbids other processes of the same user to read this
/// process's memory.
///
/// # Errors
/// [`SandboxError`]: a right could not be given up.
pub(crate) fn give_up() -> Result<(), SandboxError> {
    let what = "capabilities cannot be dropped";
    caps::clear(None, CapSet::Ambient).map_err(SandboxError::at(what))?;
    for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        caps::clear(None, set).map_err(SandboxError::at(what))?;
    }
    for set in [
        CapSet::Effective,
        CapSet::Permitted,
        CapSet::Inheritable,
        CapSet::Bounding,
        CapSet::Ambient,
    ] {
        let left = caps::read(None, set).map_err(SandboxError::at(what))?;
        if !left.is_empty() {
            return Err(SandboxError::at(what)(format!(
                "{set:?} still has {left:?}"
            )));
        }
    }
    prctl::set_no_new_privs().map_err(SandboxError::at("new privileges cannot be ruled out"))?;
    prctl::set_dumpable(false).map_err(SandboxError::at("memory cannot be closed to debuggers"))
}
