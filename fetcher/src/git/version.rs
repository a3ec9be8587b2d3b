//! The order of tags: by the versions in their names, as PEP 440 defines it.
//!
//! A version has any number of parts (`4.2`, `4.2.11.3`), with or without zeros before a part (`2026.01.05`). `a1`,
//! `b2`, `rc1`, `-rc.1` and `.dev3` come before the release they belong to, `.post1` and `-1` after it, and a version
//! with `+build` after the same version without it. The rules are those of Python's packages
//! (<https://peps.python.org/pep-0440/>), implemented by the library that uv uses.

use std::str::FromStr;

use crate::util::glob;

/// A version, ordered as PEP 440 defines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pep440_rs::Version);

impl Version {
    /// Returns the version in `tag`, which `pattern` matches: the text after the pattern's literal beginning, or
    /// after a name, or after a `v`. `None` if the tag has no version.
    #[must_use]
    pub(crate) fn of(pattern: &str, tag: &str) -> Option<Self> {
        let literal = glob::literal_prefix(pattern);
        // `v1.*` has a part of the version in it: digits and dots at the literal's end are kept.
        let label = literal.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        let text = tag.strip_prefix(label).unwrap_or(tag);
        let text = text.strip_suffix(literal_end(pattern)).unwrap_or(text);
        let number = text.find(|c: char| c.is_ascii_digit())?;
        let (name, text) = text.split_at_checked(number)?;
        let fits = |c: char| c.is_alphabetic() || matches!(c, '-' | '_' | '.' | '/' | '@');
        if !name.chars().all(fits) {
            return None;
        }
        pep440_rs::Version::from_str(text).ok().map(Self)
    }

    /// Returns whether the version is a pre-release: `a`, `b`, `rc` or `dev`.
    #[must_use]
    pub(crate) fn is_before_release(&self) -> bool {
        self.0.any_prerelease()
    }
}

/// Returns the text after a pattern's last wildcard if it is no part of a version: `-prod` of `v*-prod`.
fn literal_end(pattern: &str) -> &str {
    let end = pattern.rsplit(['*', '?', ']']).next().unwrap_or_default();
    let word = end.trim_start_matches(['-', '_', '.', '+']);
    let is_word = !word.is_empty() && word.chars().all(|c| c.is_alphabetic());
    // An end such as `1a` or `1post`, which the library reads as part of a version, stays.
    let versioned = pep440_rs::Version::from_str(&format!("1{end}")).is_ok();
    if is_word && end.len() < pattern.len() && !versioned {
        end
    } else {
        ""
    }
}

/// Returns whether a pattern asks for pre-releases: after its first wildcard it has a letter or a `-`, as
/// `v*-rc*` or `v*b*` have.
#[must_use]
pub(crate) fn wants_before_release(pattern: &str) -> bool {
    let literal = glob::literal_prefix(pattern).len();
    let wild = pattern.get(literal..).unwrap_or_default();
    let wild = wild.strip_suffix(literal_end(pattern)).unwrap_or(wild);
    wild.contains(|c: char| c == '-' || c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(pattern: &str, tags: &[&str]) {
        for pair in tags.windows(2) {
            let version = |tag| Version::of(pattern, tag).unwrap_or_else(|| panic!("{tag}"));
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn tags_are_ordered_as_people_mean_them() {
        ordered(
            "v*",
            &["v4.2.11", "v4.2.11.3", "v4.2.12", "v4.2.12.1", "v4.10"],
        );
        ordered("*", &["2025.12.31", "2026.01.05", "2026.1.6", "2026.10.1"]);
        ordered(
            "v*",
            &[
                "v2.0.dev1",
                "v2.0a1",
                "v2.0-a.2",
                "v2.0b2",
                "v2.0-beta.3",
                "v2.0rc1",
                "v2.0-rc.2",
                "v2.0",
                "v2.0+build1",
                "v2.0.post1",
                "v2.0-2",
                "v2.0.1",
            ],
        );
        ordered("release-*", &["release-1.9", "release-v1.10", "release-2"]);
        ordered(
            "*",
            &[
                "shop-1.2",
                "shop-1.10",
                "v2",
                "V3",
                "releases/4.0",
                "shop@5.0",
            ],
        );
        ordered("v1.*", &["v1.9", "v1.10"]);
        ordered("v*-prod", &["v1.2.3-prod", "v1.10-prod"]);
        ordered("v*-rc", &["v1.2-rc", "v1.10-rc"]);
        ordered("*", &["20260101", "20260102", "20260102120000"]);
    }

    #[test]
    fn what_has_no_order_has_no_version() {
        for tag in [
            "latest",
            "v",
            "v1.0-SNAPSHOT",
            "v1.x",
            "1.0 beta",
            "py3-app-1.2",
            "v1..2",
            "(1)",
        ] {
            assert_eq!(Version::of("*", tag), None, "{tag}");
        }
    }

    #[test]
    fn what_comes_before_a_release_is_only_for_patterns_that_ask_for_it() {
        for (pattern, wanted) in [
            ("v*", false),
            ("*", false),
            ("release-*", false),
            ("v1.?", false),
            ("v*-prod", false),
            ("v*-rc", true),
            ("v*-rc*", true),
            ("v*rc*", true),
        ] {
            assert_eq!(wants_before_release(pattern), wanted, "{pattern}");
        }
        let before = |tag| Version::of("v*", tag).unwrap().is_before_release();
        assert!(before("v1rc1") && before("v1.dev1") && !before("v1.post1"));
    }
}
