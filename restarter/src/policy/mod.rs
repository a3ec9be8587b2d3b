//! Who may do what to which unit. Pure: no file, no name service, no clock.
//!
//! [`parse`] reads the text of one file, [`files`] the files themselves, [`names`] turns names
//! into ids, [`people`] says who counts as a caller, and [`check`] prints the result for an administrator.

pub mod check;
pub mod files;
pub mod forbidden;
pub mod names;
pub mod parse;
pub mod people;

use std::time::Duration;

use pp_protocol::{UnitName, Verb};

/// How often a unit may be acted on: `burst` times at once, then once more after each `every`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Requests taken at once.
    pub burst: u32,
    /// Time after which one more is taken.
    pub every: Duration,
}

impl Limit {
    /// What a unit gets whose policy says nothing: tighter than systemd's own start limit
    /// (`DefaultStartLimitBurst=5` in `DefaultStartLimitIntervalSec=10s`), which counts manual
    /// restarts too and leaves the unit *stopped* when it is hit.
    pub const DEFAULT: Self = Self {
        burst: 3,
        every: Duration::from_secs(15),
    };

    /// Longest time that a used-up limit may need to fill up.
    pub const LONGEST: Duration = Duration::from_secs(3600);

    /// How long it takes a used-up limit to fill up.
    #[must_use]
    pub fn refill(&self) -> Duration {
        self.every.saturating_mul(self.burst)
    }

    /// Most restarts in any ten seconds.
    #[must_use]
    pub fn in_ten_seconds(&self) -> u128 {
        u128::from(self.burst) + 10_000 / self.every.as_millis().max(1)
    }
}

/// Somebody the policy speaks of, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// A user id.
    User(u32),
    /// A group id, held as supplementary group, or as effective one by whom it is the primary group of.
    Group(u32),
}

/// One unit of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its name, to the letter.
    pub name: UnitName,
    /// How often it may be acted on, all callers and verbs together.
    pub limit: Limit,
    /// Who may do what to it.
    pub grants: Vec<(Verb, Who)>,
}

/// Everything that is allowed. What is not in it is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The units, in the order that both processes number them by.
    pub units: Vec<Unit>,
    /// Who counts as a caller.
    pub people: people::People,
}

/// Who is asking, as the kernel says.
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

/// What the policy says to one request.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Allowed; the unit's number.
    Allowed(usize),
    /// Not allowed; why is for the log alone, the caller is not told.
    Denied(Reason),
}

/// Why a request was denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No unit of exactly this name is in the policy.
    NotListed,
    /// The unit is listed, for others or for another verb.
    NotGranted,
    /// The caller's uid is in a subordinate range: no user of this host.
    NoUser,
}

impl Policy {
    /// Judges one request. Names are compared byte by byte.
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

    /// Whether `caller` may do `verb` to `unit`. The effective gid alone proves nothing: a setgid copy of a
    /// client, made while its maker was in the group, gives it to whoever runs the copy.
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

    /// The time after which all limits are full again, whatever was asked before.
    #[must_use]
    pub fn longest_refill(&self) -> Duration {
        let refills = self.units.iter().map(|unit| unit.limit.refill());
        refills.max().unwrap_or_default()
    }
}

impl Unit {
    /// Whether nobody may do anything to it.
    #[must_use]
    pub fn is_nobodys(&self) -> bool {
        self.grants.is_empty()
    }
}

#[cfg(test)]
mod tests;
