//! Tag patterns: `*` for any run of characters, `?` for one.

/// Whether `name` is matched by `pattern` as a whole.
#[must_use]
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<_>, Vec<_>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where to go on when a `*` has to take one character more. One is enough: a later `*` makes
    // every earlier one's choice good. So the time is at most the product of the lengths.
    let mut retry = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, n + 1));
                p += 1;
            }
            Some(&c) if c == '?' || name.get(n) == Some(&c) => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((star, taken)) => {
                    (p, n) = (star, taken);
                    retry = Some((star, taken + 1));
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|&c| c == '*')
}

/// What every match begins with: the pattern up to its first wildcard.
#[must_use]
pub(crate) fn literal_prefix(pattern: &str) -> &str {
    pattern
        .find(['*', '?'])
        .and_then(|end| pattern.get(..end))
        .unwrap_or(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_the_whole_name() {
        for (pattern, name, expected) in [
            ("v*", "v1.2.3", true),
            ("v*", "xv1", false),
            ("v?.0", "v1.0", true),
            ("v?.0", "v10.0", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("v1.0", "v1.0", true),
            ("v1.0", "v1.00", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_ends_quickly() {
        let pattern = "a*".repeat(100) + "c";
        assert!(!matches(&pattern, &"a".repeat(5_000)));
    }

    #[test]
    fn the_prefix_ends_at_the_first_wildcard() {
        assert_eq!(literal_prefix("release-*"), "release-");
        assert_eq!(literal_prefix("?x"), "");
        assert_eq!(literal_prefix("v1"), "v1");
    }
}
