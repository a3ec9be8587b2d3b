//! The handover: the policy as the front needs it, in bytes. The monitor sends it to the front once, before
//! any other message.

use std::io::{self, Read};
use std::time::Duration;

use pp_protocol::{UnitName, Verb};

use super::{FrameReader, FrameWriter, VERBS, millis};
use crate::policy::people::{People, Range};
use crate::policy::{Limit, Policy, Unit, Who};

/// Longest handover, in bytes: room for 10,000 units with long names, or for half a million users.
const MAX: u32 = 4 * 1024 * 1024;

/// Encodes `policy` as bytes for the front, preceded by their length. `refused` tells the front, for its log,
/// that the policy's files were not accepted.
///
/// # Errors
/// The policy is longer than a handover can be, which is more than any host needs.
pub(crate) fn encode(policy: &Policy, refused: bool) -> io::Result<Vec<u8>> {
    let mut out = FrameWriter(vec![u8::from(refused)]);
    let People {
        subordinate,
        primary,
    } = &policy.people;
    let ranges = subordinate.iter().map(|range| (range.first, range.last));
    pairs(&mut out, ranges)?;
    pairs(&mut out, primary.iter().copied())?;
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
    Ok([&size[..], &out.0].concat())
}

fn pairs(
    out: &mut FrameWriter,
    pairs: impl ExactSizeIterator<Item = (u32, u32)>,
) -> io::Result<()> {
    out.put(&length(pairs.len())?);
    for (one, other) in pairs {
        out.put(&one.to_le_bytes());
        out.put(&other.to_le_bytes());
    }
    Ok(())
}

fn taken_pairs(rest: &mut FrameReader<'_>) -> Option<Vec<(u32, u32)>> {
    let count = u32::from_le_bytes(rest.take()?);
    let mut pair = || {
        let one = u32::from_le_bytes(rest.take()?);
        Some((one, u32::from_le_bytes(rest.take()?)))
    };
    (0..count).map(|_| pair()).collect()
}

/// Receives a policy from the monitor, and whether the policy's files were refused.
///
/// # Errors
/// The monitor is gone, or the bytes that it sent are not a policy.
pub(crate) fn receive(mut from: impl Read) -> io::Result<(Policy, bool)> {
    let mut size = [0; 4];
    from.read_exact(&mut size)?;
    let size = Some(u32::from_le_bytes(size)).filter(|size| *size <= MAX);
    let size = size.ok_or_else(|| io::Error::other("the policy is too large"))?;
    let mut bytes = Vec::new();
    from.take(size.into()).read_to_end(&mut bytes)?;
    decode(&bytes).ok_or_else(|| io::Error::other("the policy cannot be read"))
}

fn decode(bytes: &[u8]) -> Option<(Policy, bool)> {
    let mut rest = FrameReader(bytes);
    let refused = rest.take()? == [1];
    let mut policy = Policy::default();
    let ranges = taken_pairs(&mut rest)?.into_iter();
    policy.people = People {
        subordinate: ranges.map(|(first, last)| Range { first, last }).collect(),
        primary: taken_pairs(&mut rest)?,
    };
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
            people: People {
                subordinate: vec![Range {
                    first: 100_000,
                    last: 165_535,
                }],
                primary: vec![(998, 997), (1000, 100)],
            },
        };
        for refused in [false, true] {
            let wire = encode(&policy, refused).unwrap();
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
