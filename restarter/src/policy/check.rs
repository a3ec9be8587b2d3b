//! `pp-restarter --check`: describes what a policy allows, for an administrator.

use std::fmt::Write;

use nix::unistd::{Gid, Group, Uid, User};
use pp_protocol::Verb;

use super::{Policy, Who};

/// Returns one line for each grant of the policy, and then one line for each verb that is granted, which says
/// what the verb includes.
#[must_use]
pub fn describe(policy: &Policy) -> String {
    let mut out = String::new();
    for unit in &policy.units {
        let (burst, every) = (unit.limit.burst, unit.limit.every.as_secs());
        for (verb, who) in &unit.grants {
            let who = match who {
                Who::User(uid) => format!("user {} (uid {uid})", user(*uid)),
                Who::Group(gid) => format!("group {} (gid {gid})", group(*gid)),
            };
            let _ = writeln!(
                out,
                "{who} may {} {}, {burst} times at once and once more every {every} s",
                verb.as_str(),
                unit.name,
            );
        }
    }
    for verb in Verb::ALL {
        let granted = |unit: &super::Unit| unit.grants.iter().any(|(granted, _)| *granted == verb);
        if policy.units.iter().any(granted) {
            let _ = writeln!(out, "{}: {}", verb.as_str(), includes(verb));
        }
    }
    out
}

/// Returns what systemd does to other units because of a verb, and when: systemctl(1) and systemd.unit(5).
fn includes(verb: Verb) -> &'static str {
    match verb {
        Verb::Restart => {
            "also starts the unit where it is stopped, with what it requires, and stops what it conflicts with and \
             restarts what is part of it"
        }
        Verb::TryRestart => {
            "only where the unit runs; also restarts what is part of it, and starts what it requires"
        }
        Verb::Reload => "only where the unit runs; runs its ExecReload=",
    }
}

fn user(uid: u32) -> String {
    let found = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    found.map_or_else(|| "?".to_owned(), |user| user.name)
}

fn group(gid: u32) -> String {
    let found = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    found.map_or_else(|| "?".to_owned(), |group| group.name)
}
