//! Becomes another user, in the process that root has started for that purpose: session, groups, ids,
//! capabilities, in this order, before any thread starts and any file of that user is opened.

use std::ffi::{CString, OsString};

use caps::CapSet;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{
    Gid, Pid, Uid, User, geteuid, getppid, getresgid, getresuid, initgroups, setresgid, setresuid,
    setsid,
};

use super::WORD;

/// Becomes the user that the command line names, if root has started this process to become a user. Gives the
/// remaining arguments, and whether root has started it so.
///
/// # Errors
/// The privilege that could not be given up. The caller must then end the process without doing anything.
pub(crate) fn from_arguments(arguments: Vec<OsString>) -> Result<(Vec<OsString>, bool), String> {
    if arguments.get(1).is_none_or(|first| first != WORD) {
        return Ok((arguments, false));
    }
    let word = |place: usize| arguments.get(place).and_then(|word| word.to_str());
    let (name, gid) = (word(2), word(3).and_then(|gid| gid.parse().ok()));
    let parent = word(4).and_then(|pid| pid.parse().ok());
    let (Some(name), Some(gid), Some(parent)) = (name, gid, parent) else {
        return Err("this is for pp-fetcher itself to run".to_owned());
    };
    become_user(name, Gid::from_raw(gid), Pid::from_raw(parent))?;
    let mut left = arguments;
    left.drain(1..5);
    Ok((left, true))
}

fn become_user(name: &str, gid: Gid, parent: Pid) -> Result<(), String> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |why: nix::errno::Errno| format!("{what}: {why}")
    };
    if !geteuid().is_root() {
        return Err("this is for pp-fetcher itself to run".to_owned());
    }
    let user = User::from_name(name).map_err(failed("the user cannot be looked up"))?;
    let user = user.ok_or_else(|| format!("there is no user {name}"))?;
    if user.uid.is_root() {
        return Err("apps do not run as root".to_owned());
    }
    // A session without a terminal: a process of that user could otherwise type into root's terminal
    // (TIOCSTI).
    setsid().map_err(failed("no session of its own"))?;
    // No program that is run from here on can gain a privilege, as in the service.
    caps::clear(None, CapSet::Bounding)
        .map_err(|why| format!("the bounding set cannot be emptied: {why}"))?;
    let login = CString::new(name).map_err(|error| error.to_string())?;
    initgroups(&login, gid).map_err(failed("groups cannot be set"))?;
    setresgid(gid, gid, gid).map_err(failed("the group cannot be set"))?;
    let uid = user.uid;
    setresuid(uid, uid, uid).map_err(failed("the user cannot be set"))?;
    for set in [
        CapSet::Ambient,
        CapSet::Effective,
        CapSet::Permitted,
        CapSet::Inheritable,
    ] {
        caps::clear(None, set).map_err(|why| format!("capabilities cannot be dropped: {why}"))?;
    }
    // The process of root may be killed: no work must then go on that no process waits for.
    prctl::set_pdeathsig(Some(Signal::SIGTERM)).map_err(failed("no signal at root's end"))?;
    if getppid() != parent {
        return Err("whoever has started this is gone".to_owned());
    }
    prctl::set_no_new_privs().map_err(failed("new privileges cannot be ruled out"))?;
    assert_is(uid, gid)
}

/// Reads the ids and capabilities back: a kernel or library that has changed only half of them would be worse
/// than one that has failed.
fn assert_is(uid: Uid, gid: Gid) -> Result<(), String> {
    let (uids, gids) = (
        getresuid().map_err(|why| why.to_string())?,
        getresgid().map_err(|why| why.to_string())?,
    );
    let all_uids = [uids.real, uids.effective, uids.saved] == [uid; 3];
    let all_gids = [gids.real, gids.effective, gids.saved] == [gid; 3];
    let held = [CapSet::Effective, CapSet::Permitted]
        .into_iter()
        .any(|set| caps::read(None, set).map_or(true, |held| !held.is_empty()));
    if !all_uids || !all_gids || held || Uid::effective().is_root() {
        return Err(format!("still privileged: uids {uids:?}, gids {gids:?}"));
    }
    Ok(())
}
