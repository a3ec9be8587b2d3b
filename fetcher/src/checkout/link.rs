//! Checks the targets of symbolic links: a link may only lead into its own release.

use super::error::Refusal;
use super::name;

/// Size limit of a link's target in bytes (`PATH_MAX` with its NUL).
pub(crate) const LONGEST: u64 = 4095;

/// Checks the target of a link that may lead anywhere: it must be a possible target of a link.
///
/// # Errors
/// [`Refusal::Link`] with the target.
pub(crate) fn check_free(target: &[u8]) -> Result<(), Refusal> {
    if target.is_empty() || target.len() as u64 > LONGEST || target.contains(&0) {
        return Err(Refusal::Link {
            target: name::display_path(target),
        });
    }
    Ok(())
}

/// Checks the target of a link that lies `depth` directories below the release.
///
/// `..` may stand at the beginning only. There it leads through the directories that the link lies in,
/// which are no links; after another name, `..` might lead out of the directory that a second link points to.
/// So no chain of links that each pass this check leaves the release.
///
/// # Errors
/// [`Refusal::Link`] with the target.
pub(crate) fn check(target: &[u8], depth: usize) -> Result<(), Refusal> {
    let refused = || Refusal::Link {
        target: name::display_path(target),
    };
    let long = target.len() as u64 > LONGEST;
    if long || target.is_empty() || target.starts_with(b"/") || target.contains(&0) {
        return Err(refused());
    }
    let (mut up, mut down) = (0, false);
    for part in target.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if down => return Err(refused()),
            b".." => up += 1,
            _ => down = true,
        }
    }
    if up > depth { Err(refused()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_27_links_stay_within_the_release() {
        for (target, depth, fine) in [
            ("b", 0, true),
            ("b/c", 0, true),
            ("../b", 1, true),
            ("..", 1, true),
            ("./b/./c/", 0, true),
            ("../../a/b", 2, true),
            ("/etc/passwd", 3, false),
            ("..", 0, false),
            ("../b", 0, false),
            ("../../b", 1, false),
            ("b/../../..", 1, false),
            ("b/../c", 5, false),
            ("./../b", 0, false),
            ("", 0, false),
            ("a\0b", 0, false),
        ] {
            assert_eq!(check(target.as_bytes(), depth).is_ok(), fine, "{target:?}");
        }
        assert!(check(&vec![b'a'; 4096], 0).is_err());
    }
}
