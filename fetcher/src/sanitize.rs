//! Cleans every text before it is shown to a person: no character may move the cursor, colour the screen,
//! change the direction of writing or be invisible, wherever the text comes from. The program's own colours
//! pass if the output has colour.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::sync::OnceLock;

use crate::util::text::hostile;

/// The program's own colours. In a text they are stored as marks until the text is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    /// For a failure.
    Red,
    /// For a good result.
    Green,
    /// For something that is held back.
    Yellow,
    /// Ends a colour.
    Off,
}

/// For each colour the letter of its mark and the escape sequence that [`sanitize`] prints for it. A mark contains
/// a value that no other program knows, so that text from elsewhere cannot set colours or change ours.
const COLOURS: [(Colour, char, &str); 4] = [
    (Colour::Red, 'r', "\u{1b}[31m"),
    (Colour::Green, 'g', "\u{1b}[32m"),
    (Colour::Yellow, 'y', "\u{1b}[33m"),
    (Colour::Off, 'o', "\u{1b}[0m"),
];

/// Gives the mark of a colour, for a text that is passed to [`sanitize`].
#[must_use]
pub(crate) fn mark_colour(colour: Colour) -> String {
    let letter = COLOURS.iter().find(|(known, ..)| *known == colour);
    let letter = letter.map_or('o', |(_, letter, _)| *letter);
    format!("\u{1b}{}{letter}", secret())
}

/// Gives the secret part of every mark: different in each process, from a random value of the standard
/// library.
fn secret() -> &'static str {
    static SECRET: OnceLock<String> = OnceLock::new();
    SECRET.get_or_init(|| format!("{:016x}", RandomState::new().build_hasher().finish()))
}

/// Writes a complaint to standard error, cleaned for a person.
pub(crate) fn print_error(text: &str) {
    print_prompt(&format!("pp-fetcher: {text}\n"));
}

/// Writes a text to standard error, cleaned for a person; without a newline at its end, so that a question
/// can wait for its answer.
pub(crate) fn print_prompt(text: &str) {
    let _ = std::io::stderr().write_all(sanitize(text, false).as_bytes());
}

/// Cleans `text`. Line ends stay; a tab becomes a blank; other control characters are left out; marks become
/// colours if `colours` is set.
#[must_use]
pub(crate) fn sanitize(text: &str, colours: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some((shown, after)) = marked(rest) {
            out.push_str(if colours { shown } else { "" });
            rest = after;
            continue;
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '\n' | ' ' => out.push(c),
            '\t' => out.push(' '),
            // Blanks of other widths become a plain blank; only `\n` ends a line.
            c if c.is_whitespace() && !c.is_control() => out.push(' '),
            c if hostile(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// Gives the colour that a mark at the beginning of `text` stands for, and the text after the mark.
fn marked(text: &str) -> Option<(&'static str, &str)> {
    let mut rest = text.strip_prefix('\u{1b}')?.strip_prefix(secret())?.chars();
    let letter = rest.next()?;
    let (.., shown) = COLOURS.iter().find(|(_, known, _)| *known == letter)?;
    Some((shown, rest.as_str()))
}

/// Escapes every character in JSON that [`sanitize`] would leave out; the JSON keeps its meaning. serde_json does
/// not escape such characters beyond ASCII.
#[must_use]
pub(crate) fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut units = [0; 2];
    for c in text.chars() {
        if c == '\n' || c == ' ' || !hostile(c) {
            out.push(c);
            continue;
        }
        // Such characters occur only within strings: between them JSON has blanks and line ends.
        for unit in c.encode_utf16(&mut units) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rule_36_what_would_act_on_a_terminal_is_left_out() {
        for (text, shown) in [
            ("a\u{1b}]0;title\u{7}b\n", "a]0;titleb\n"),
            ("\u{1b}[2J\u{1b}[31mred", "[2J[31mred"),
            ("one\rtwo\u{85}\u{2028}", "onetwo "),
            ("a\tb\u{a0}c", "a b c"),
            ("safe\u{202e}fdp.exe\u{9b}2J", "safefdp.exe2J"),
        ] {
            assert_eq!(sanitize(text, false), shown, "{text:?}");
        }
        // A colour in text from elsewhere is not shown, not even if the output has colour.
        let ours = format!(
            "{}x{}\u{1b}[31my",
            mark_colour(Colour::Red),
            mark_colour(Colour::Off)
        );
        assert_eq!(sanitize(&ours, true), "\u{1b}[31mx\u{1b}[0m[31my");
        assert_eq!(sanitize(&ours, false), "x[31my");
    }

    proptest! {
        #[test]
        fn rule_36_no_control_character_but_newline_reaches_a_terminal(text in any::<String>(), more in "[\u{0}-\u{9f}\u{2000}-\u{206f}]{0,40}") {
            let all = text + &more;
            let shown = sanitize(&all, false);
            prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n'));
            let json_text = serde_json::to_string(&all).unwrap();
            let shown = sanitize(&json(&json_text), false);
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), all);
        }
    }
}
