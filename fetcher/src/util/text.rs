//! Text from elsewhere, made fit for a terminal, a log and a status page.

use std::path::Path;

/// Longest piece of foreign text that is kept, in characters: a commit subject or a server's
/// message that is longer says nothing more.
const LONGEST: usize = 2_000;

/// `bytes` as one line: what is not UTF-8 is replaced, control characters and the invisible ones
/// that reorder text become spaces, runs of spaces become one.
#[must_use]
pub(crate) fn line(bytes: &[u8]) -> String {
    let head = bytes.get(..bytes.len().min(LONGEST * 4)).unwrap_or(bytes);
    let mut out = String::new();
    for c in String::from_utf8_lossy(head).chars().take(LONGEST) {
        let c = if hostile(c) { ' ' } else { c };
        if !(c == ' ' && (out.is_empty() || out.ends_with(' '))) {
            out.push(c);
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// What a program said, in parentheses behind a blank, for the end of a sentence; nothing if it said nothing.
#[must_use]
pub(crate) fn in_parentheses(said: &str) -> String {
    if said.is_empty() {
        String::new()
    } else {
        format!(" ({said})")
    }
}

/// The non-empty lines of `bytes`, each made fit by [`line()`].
#[must_use]
pub(crate) fn lines(bytes: &[u8]) -> Vec<String> {
    bytes
        .split(|b| matches!(b, b'\n' | b'\r'))
        .map(line)
        .filter(|l| !l.is_empty())
        .collect()
}

/// One line of output with its blanks as they are, fit for a terminal: what moves the cursor, colours
/// the screen or turns the direction of writing is left out. Of what a progress bar has written over, the last is
/// kept; a tab becomes blanks.
#[must_use]
pub(crate) fn kept(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let last = text.trim_end_matches(['\r', '\n']).rsplit('\r').next();
    let mut out = String::new();
    let mut column = 0;
    for c in anstream::adapter::strip_str(last.unwrap_or_default()).flat_map(str::chars) {
        let blanks = match c {
            '\t' => TAB - column % TAB,
            ' ' => 1,
            c if hostile(c) => continue,
            c => {
                out.push(c);
                column += 1;
                continue;
            }
        };
        out.push_str(&" ".repeat(blanks));
        column += blanks;
    }
    out
}

/// Columns from one tab stop to the next.
const TAB: usize = 8;

/// Characters that move the cursor, colour the screen or turn the direction of writing.
pub(crate) fn hostile(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Whether a shell, a unit of systemd and a configuration file of nginx all take this path as it is.
pub(crate) fn is_plain(path: &Path) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._-".contains(b);
    let text = path.as_os_str().as_encoded_bytes();
    !text.is_empty() && !text.starts_with(b"-") && text.iter().all(plain)
}

/// A path as it can be typed into a shell, on one line.
pub(crate) fn typed(path: &Path) -> String {
    match is_plain(path) {
        true => path.to_string_lossy().into_owned(),
        false => {
            let shown = line(path.as_os_str().as_encoded_bytes());
            format!("'{}'", shown.replace('\'', r"'\''"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_19_no_control_character_survives() {
        assert_eq!(line(b"a\x1b[31mred\x07\r\nb\0c"), "a [31mred b c");
        assert_eq!(line("safe\u{202e}fdp.exe".as_bytes()), "safe fdp.exe");
        assert_eq!(line(b"\xff\xfe"), "\u{fffd}\u{fffd}");
    }

    #[test]
    fn rule_19_output_keeps_its_blanks_and_nothing_else_that_cannot_be_seen() {
        assert_eq!(kept(b"  a\t\x1b[31mred\x07\r\n"), "  a     red");
        assert_eq!(kept(b"10%\r20%\r100% done\n"), "100% done");
        assert_eq!(
            kept("safe\u{202e}fdp.exe\u{9b}2J".as_bytes()),
            "safefdp.exe2J"
        );
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(line(&vec![b'x'; 100_000]).len(), LONGEST);
    }

    #[test]
    fn lines_are_split_and_empty_ones_dropped() {
        assert_eq!(lines(b"one\r\n\n two \n"), ["one", "two"]);
    }

    #[test]
    fn only_paths_that_everybody_takes_as_they_are_are_plain() {
        assert!(is_plain(Path::new("/var/www/projects/todo-2_x.y")));
        for path in ["/srv/a b", "/srv/%i", "-x", "", "/srv/$x"] {
            assert!(!is_plain(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn a_path_is_shown_as_it_can_be_typed() {
        let typed = |path: &str| super::typed(Path::new(path));
        assert_eq!(typed("/home/g/.ssh/id_todo"), "/home/g/.ssh/id_todo");
        assert_eq!(typed("/h/a;b c"), "'/h/a;b c'");
        assert_eq!(typed("it's"), r"'it'\''s'");
        assert!(!typed("/h/a\n  as root: rm").contains('\n'));
    }
}
