//! The policy: who may do what to which unit. The code in this file uses no file, no name service and no clock.
//!
//! [`files`] reads the files, [`parse`] the text of one file, [`names`] turns names into ids, [`forbidden`]
//! lists units that are never allowed, [`people`] says who counts as a caller, and [`check`] describes the
//! result for an administrator.

pub mod check;
pub mod files;
pub(crate) mod forbidden;
pub mod names;
pub mod parse;
pub(crate) mod people;

use std::time::Duration;

use pp_protocol::{UnitName, Verb};

/// How often a unit may be acted on: `burst` times at once, then once more after each `every`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Number of orders accepted at once.
    pub burst: u32,
    /// Time after which one more order is accepted.
    pub every: Duration,
}

impl Limit {
    /// The limit of a unit for which the policy names none. It is tighter than systemd's own start limit
    /// (`DefaultStartLimitBurst=5` in `DefaultStartLimitIntervalSec=10s`), which counts manual
    /// restarts too and leaves the unit *stopped* when it is reached.
    pub const DEFAULT: Self = Self {
        burst: 3,
        every: Duration::from_secs(15),
    };

    /// Longest time that a used-up limit may need to fill up; a policy file cannot set a longer one.
    pub const LONGEST: Duration = Duration::from_secs(3600);

    /// Returns the time in which a used-up limit fills up.
    #[must_use]
    pub fn refill(&self) -> Duration {
        self.every.saturating_mul(self.burst)
    }

    /// Returns the largest number of orders that the limit allows in any ten seconds.
    #[must_use]
    pub fn in_ten_seconds(&self) -> u128 {
        u128::from(self.burst) + 10_000 / self.every.as_millis().max(1)
    }
}

/// A user or group to whom the policy allows something, by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// A user id.
    User(u32),
    /// A group id. It stands for callers that have the group as a supplementary group, and for callers that
    /// have it as their effective group and whose primary group it is in the user database.
    Group(u32),
}

/// One unit of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The unit's exact name.
    pub name: UnitName,
    /// How often the unit may be acted on, all callers and verbs together.
    pub limit: Limit,
    /// Who may do what to the unit.
    pub grants: Vec<(Verb, Who)>,
}

/// Everything that is allowed. Whatever is not in the policy is denied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The units. A unit's index in this list is its number in messages between the front and the monitor.
    pub units: Vec<Unit>,
    /// Which uids count as callers, and which primary groups they have.
    pub people: people::People,
}

/// The credentials of a caller, as the kernel reports them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Supplementary group ids.
    pub groups: Vec<u32>,
    /// Process id: a hint for the log, never looked at for a decision.
    pub pid: i32,
}

/// The decision of the policy on one request.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Allowed, with the index of the unit in [`Policy::units`].
    Allowed(usize),
    /// Not allowed. The reason is for the log only; the caller does not learn it.
    Denied(Reason),
}

/// Why a request was denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No unit of exactly this name is in the policy.
    NotListed,
    /// The unit is listed, for others or for another verb.
    NotGranted,
    /// The caller's uid is in a subordinate range, so it is not that of a user of this host.
    NoUser,
}

impl Policy {
    /// Decides on one request. Names of units are compared byte by byte.
    pub fn decide(&self, caller: &Caller, verb: Verb, name: &str) -> Decision {
        if self.people.is_subordinate(caller.uid) {
            return Decision::Denied(Reason::NoUser);
        }
        let found = self
            .units
            .iter()
            .position(|unit| unit.name.as_str().as_bytes() == name.as_bytes());
        match found.and_then(|index| self.units.get(index).map(|unit| (index, unit))) {
            None => Decision::Denied(Reason::NotListed),
            Some((index, unit)) if self.grants(unit, caller, verb) => Decision::Allowed(index),
            Some(_) => Decision::Denied(Reason::NotGranted),
        }
    }

    /// Returns whether `caller` may do `verb` to `unit`. The effective gid alone proves nothing: a user who was
    /// once in a group can have made a setgid copy of a client, which gives the group to everyone who runs it.
    #[must_use]
    pub fn grants(&self, unit: &Unit, caller: &Caller, verb: Verb) -> bool {
        let Caller { uid, gid, .. } = *caller;
        let holds = |who: &Who| match who {
            Who::User(user) => uid == *user,
            Who::Group(group) => {
                caller.groups.contains(group) || (gid == *group && self.people.is_primary(uid, gid))
            }
        };
        let mut granted = unit.grants.iter().filter(|(granted, _)| *granted == verb);
        granted.any(|(_, who)| holds(who))
    }

    /// Returns the time after which the limits of all units are full again in any case.
    #[must_use]
    pub fn longest_refill(&self) -> Duration {
        let refills = self.units.iter().map(|unit| unit.limit.refill());
        refills.max().unwrap_or_default()
    }
}

impl Unit {
    /// Returns whether nobody may do anything to the unit.
    #[must_use]
    pub fn is_nobodys(&self) -> bool {
        self.grants.is_empty()
    }
}

#[cfg(test)]
mod tests;
