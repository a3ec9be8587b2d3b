//! Checks the names in a tree: which of them may become a file's name on a disk.

use super::error::Refusal;

/// The name of the file of attributes, in every directory: gitattributes(5).
pub(super) const ATTRIBUTES: &str = ".gitattributes";

/// Size limit of a name in bytes (`NAME_MAX`).
const LONGEST: usize = 255;

/// The most characters shown of a path that comes from a repository.
const SHOWN: usize = 300;

/// Checks one component of a path.
///
/// # Errors
/// [`Refusal`] says what is wrong with the name.
pub(crate) fn check(name: &[u8]) -> Result<(), Refusal> {
    if matches!(name, b"" | b"." | b"..") || name.len() > LONGEST || name.contains(&b'/') {
        return Err(Refusal::Name);
    }
    if name.iter().any(u8::is_ascii_control) {
        return Err(Refusal::Control);
    }
    if is_ntfs_dot_git(name) || is_hfs_dot_git(name) {
        return Err(Refusal::DotGit);
    }
    Ok(())
}

/// Checks for `.git` and `git~1` in any case, as NTFS reads names: dots and spaces at the end are ignored, the text
/// after a colon is a stream of the same file, and a backslash separates directories.
fn is_ntfs_dot_git(name: &[u8]) -> bool {
    let mut pieces = name.split(|b| matches!(b, b':' | b'\\'));
    pieces.any(|piece| {
        let piece = piece.trim_ascii_end();
        let end = piece.iter().rposition(|b| !matches!(b, b'.' | b' '));
        let piece = end.and_then(|end| piece.get(..=end)).unwrap_or_default();
        piece.eq_ignore_ascii_case(b".git") || piece.eq_ignore_ascii_case(b"git~1")
    })
}

/// Checks for `.git` in any case, with characters between that HFS+ ignores in names.
fn is_hfs_dot_git(name: &[u8]) -> bool {
    let ignored = |c: &char| matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    let Ok(name) = std::str::from_utf8(name) else {
        return false;
    };
    let seen: String = name.chars().filter(|c| !ignored(c)).collect();
    seen.eq_ignore_ascii_case(".git")
}

/// Returns a path or a link's target, fit for a terminal: unprintable characters are escaped.
#[must_use]
pub(crate) fn display_path(path: &[u8]) -> String {
    let mut out = String::new();
    for c in String::from_utf8_lossy(path).chars().take(SHOWN) {
        if c == '\'' || c == '"' {
            out.push(c);
        } else {
            out.extend(c.escape_debug());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_27_git_directories_and_their_look_alikes_are_refused() {
        for name in [
            ".git",
            ".GIT",
            ".Git",
            "git~1",
            "GIT~1",
            ".git.",
            ".git ",
            ".git. .",
            ".git::$INDEX_ALLOCATION",
            ".git\\config",
            "a\\.git",
            ".g\u{200c}it",
            "\u{feff}.git",
            ".gi\u{200d}T",
        ] {
            assert_eq!(check(name.as_bytes()), Err(Refusal::DotGit), "{name}");
        }
    }

    #[test]
    fn rule_27_what_is_no_name_is_refused() {
        for name in ["", ".", "..", "a/b", "/", &"x".repeat(256)] {
            assert_eq!(check(name.as_bytes()), Err(Refusal::Name), "{name}");
        }
        for name in ["a\nb", "a\0", "\x1b[2J", "Icon\r", "\x7f"] {
            assert_eq!(check(name.as_bytes()), Err(Refusal::Control), "{name:?}");
        }
    }

    #[test]
    fn ordinary_names_pass() {
        let long = "x".repeat(255);
        for name in [
            ".gitignore",
            ".gitmodules",
            ".github",
            "git",
            "git~2",
            "...",
            "a b",
            "naïve",
            "-rf",
            "a:b",
            &long,
        ] {
            assert_eq!(check(name.as_bytes()), Ok(()), "{name}");
        }
        assert_eq!(check(b"caf\xe9"), Ok(()), "names need not be UTF-8");
    }

    #[test]
    fn rule_19_a_path_is_shown_without_control_characters() {
        assert_eq!(display_path(b"a\x1b[31m\n/it's"), "a\\u{1b}[31m\\n/it's");
    }
}
