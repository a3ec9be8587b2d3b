//! What passwd(5) and subuid(5) say about callers: which uids belong to no user of their own, and which user
//! has which primary group. This file reads no files itself: the texts come from [`super::files`].

use std::fmt::Write;

/// A range of subordinate uids, which `/etc/subuid` gives to a user for user namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first uid of the range.
    pub first: u32,
    /// The last uid of the range.
    pub last: u32,
}

/// What is known of callers besides their credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People {
    /// The ranges of subordinate uids. Callers with such a uid are refused: a user with a range could otherwise
    /// pose as 65,536 different callers.
    pub subordinate: Vec<Range>,
    /// The uid and the primary gid of every user whose primary group is one that the policy names.
    pub primary: Vec<(u32, u32)>,
}

impl People {
    /// Returns whether `uid` is in a subordinate range, and so does not stand for a user of this host.
    #[must_use]
    pub fn is_subordinate(&self, uid: u32) -> bool {
        let holds = |range: &Range| (range.first..=range.last).contains(&uid);
        self.subordinate.iter().any(holds)
    }

    /// Returns whether `gid` is the primary group of `uid` in passwd(5), and a group that the policy names.
    #[must_use]
    pub fn is_primary(&self, uid: u32, gid: u32) -> bool {
        self.primary.contains(&(uid, gid))
    }

    /// Reads the text of subuid(5): lines `NAME:FIRST:COUNT`. Skips lines that newuidmap(1) skips too because it
    /// cannot use them.
    pub fn read_subordinate(&mut self, text: &str) {
        for line in text.lines() {
            let mut fields = line.trim().splitn(3, ':').skip(1);
            let mut next = || number(fields.next()?.trim());
            if let (Some(first), Some(count @ 1..)) = (next(), next()) {
                let id = |wide: u64| u32::try_from(wide).unwrap_or(u32::MAX);
                let last = id(first.saturating_add(count - 1));
                self.subordinate.push(Range {
                    first: id(first),
                    last,
                });
            }
        }
    }

    /// Reads the text of passwd(5) for the users whose primary group is one of `groups`. Returns a warning for
    /// each user whose uid lies in a subordinate range, because such a user is refused.
    pub fn read_users(&mut self, text: &str, groups: &[u32]) -> Vec<String> {
        let mut odd = Vec::new();
        for line in text.lines() {
            let fields: Vec<_> = line.split(':').collect();
            let [name, _, uid, gid, ..] = fields[..] else {
                continue;
            };
            let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse()) else {
                continue;
            };
            if groups.contains(&gid) {
                self.primary.push((uid, gid));
            }
            if self.is_subordinate(uid) {
                let mut text = String::new();
                let _ = write!(
                    text,
                    "user {name:?} (uid {uid}) lies in a range of /etc/subuid: refused, as nobody can tell who it is"
                );
                odd.push(text);
            }
        }
        odd
    }
}

/// Parses a number as newuidmap(1) does: by strtoul(3) with base 0, so octal after a 0 and hexadecimal after
/// 0x.
fn number(text: &str) -> Option<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let lower = text.to_ascii_lowercase();
    match lower.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None if lower.len() > 1 && lower.starts_with('0') => u64::from_str_radix(&lower, 8).ok(),
        None => lower.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_37_ranges_are_read_and_odd_lines_are_passed_over() {
        let mut people = People::default();
        people.read_subordinate(
            "alice:100000:65536\n1001:165536:1\n# x\nbob:1:0\nbob:x:5\nbob:7\n:\n\nend:4294967295:9\n",
        );
        for (uid, is) in [
            (0, false),
            (1, false),
            (99_999, false),
            (100_000, true),
            (165_535, true),
            (165_536, true),
            (165_537, false),
            (u32::MAX, true),
        ] {
            assert_eq!(people.is_subordinate(uid), is, "{uid}");
        }
    }

    #[test]
    fn rule_37_numbers_are_read_as_newuidmap_reads_them() {
        for (line, first, last) in [
            ("a:0x186a0:0x10", 100_000, 100_015),
            ("a:0303240:020", 100_000, 100_015),
            ("a:100000:99999999999", 100_000, u32::MAX),
            ("a:+100000:1", 100_000, 100_000),
        ] {
            let mut people = People::default();
            people.read_subordinate(line);
            assert_eq!(people.subordinate, [Range { first, last }], "{line}");
        }
    }

    #[test]
    fn rule_39_primary_groups_are_those_of_the_user_database() {
        let mut people = People::default();
        people.read_subordinate("alice:100000:65536\n");
        let odd = people.read_users(
            "root:x:0:0::/:/bin/sh\nbad\ngunicorn:x:998:997:a:b:c\nann:x:1000:100::\nsub:x:100001:997::\n",
            &[997],
        );
        assert_eq!(people.primary, [(998, 997), (100_001, 997)]);
        assert!(people.is_primary(998, 997) && !people.is_primary(1000, 100));
        assert_eq!(odd.len(), 1);
        assert!(odd[0].starts_with("user \"sub\" (uid 100001)"), "{odd:?}");
    }
}
