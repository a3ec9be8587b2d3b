//! The policy as the front needs it, sent once by the monitor before anything else.

use std::io::{self, Read, Write};
use std::time::Duration;

use pp_protocol::{UnitName, Verb};

use super::{In, Out, VERBS, millis};
use crate::policy::{Limit, Policy, Unit, Who};

/// Longest handover taken, in bytes: 10,000 units with long names.
const MAX: u32 = 4 * 1024 * 1024;

/// Sends `policy`. `refused` tells the front that its files were not accepted, for the log.
///
/// # Errors
/// The front is gone, or there is more policy than any host has.
pub fn send(mut to: impl Write, policy: &Policy, refused: bool) -> io::Result<()> {
    let mut out = Out(vec![u8::from(refused)]);
    for unit in &policy.units {
        out.put(&length(unit.name.as_str().len())?);
        out.put(unit.name.as_str().as_bytes());
        out.put(&unit.limit.burst.to_le_bytes());
        out.put(&millis(unit.limit.every).to_le_bytes());
        out.put(&length(unit.grants.len())?);
        for (verb, who) in &unit.grants {
            let (kind, id) = match who {
                Who::User(uid) => (0, uid),
                Who::Group(gid) => (1, gid),
            };
            out.put(&[*verb as u8, kind]);
            out.put(&id.to_le_bytes());
        }
    }
    let size = length(out.0.len())?;
    if u32::from_le_bytes(size) > MAX {
        return Err(io::Error::other("the policy is too large"));
    }
    to.write_all(&size)?;
    to.write_all(&out.0)
}

/// Receives a policy, and whether its files were refused.
///
/// # Errors
/// The monitor is gone, or said what no monitor says.
pub fn receive(mut from: impl Read) -> io::Result<(Policy, bool)> {
    let mut size = [0; 4];
    from.read_exact(&mut size)?;
    let size = Some(u32::from_le_bytes(size)).filter(|size| *size <= MAX);
    let size = size.ok_or_else(|| io::Error::other("the policy is too large"))?;
    let mut bytes = Vec::new();
    from.take(size.into()).read_to_end(&mut bytes)?;
    decode(&bytes).ok_or_else(|| io::Error::other("the policy cannot be read"))
}

fn decode(bytes: &[u8]) -> Option<(Policy, bool)> {
    let mut rest = In(bytes);
    let refused = rest.take()? == [1];
    let mut policy = Policy::default();
    while !rest.0.is_empty() {
        let length = usize::try_from(u32::from_le_bytes(rest.take()?)).ok()?;
        let (name, after) = rest.0.split_at_checked(length)?;
        rest.0 = after;
        let limit = Limit {
            burst: u32::from_le_bytes(rest.take()?),
            every: Duration::from_millis(u64::from_le_bytes(rest.take()?)),
        };
        let mut unit = Unit {
            name: UnitName::parse(std::str::from_utf8(name).ok()?).ok()?,
            limit,
            grants: Vec::new(),
        };
        for _ in 0..u32::from_le_bytes(rest.take()?) {
            let verb: Verb = rest.number(&VERBS)?;
            let [kind] = rest.take()?;
            let id = u32::from_le_bytes(rest.take()?);
            let who = if kind == 0 {
                Who::User(id)
            } else {
                Who::Group(id)
            };
            unit.grants.push((verb, who));
        }
        policy.units.push(unit);
    }
    Some((policy, refused))
}

fn length(n: usize) -> io::Result<[u8; 4]> {
    let n = u32::try_from(n).map_err(io::Error::other)?;
    Ok(n.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_processes_hold_the_same_policy_in_the_same_order() {
        let unit = |name: &str, grants| Unit {
            name: UnitName::parse(name).unwrap(),
            limit: Limit {
                burst: 2,
                every: Duration::from_secs(20),
            },
            grants,
        };
        let policy = Policy {
            units: vec![
                unit("b.service", vec![(Verb::Restart, Who::Group(998))]),
                unit(
                    "a.service",
                    vec![(Verb::Reload, Who::User(0)), (Verb::Restart, Who::User(7))],
                ),
            ],
        };
        for refused in [false, true] {
            let mut wire = Vec::new();
            send(&mut wire, &policy, refused).unwrap();
            assert_eq!(receive(&wire[..]).unwrap(), (policy.clone(), refused));
            for cut in 0..wire.len() {
                assert!(
                    receive(&wire[..cut]).map_or(true, |(seen, _)| seen != policy),
                    "{cut}"
                );
            }
        }
        assert!(receive(&u32::MAX.to_le_bytes()[..]).is_err());
    }
}
