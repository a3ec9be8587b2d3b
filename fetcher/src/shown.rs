//! What of any text may reach a person: nothing that moves the cursor, colours the screen, turns the direction of
//! writing or cannot be seen, wherever the text comes from. Colours of our own pass where there is colour.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::sync::OnceLock;

use crate::util::text::hostile;

/// Colours of our own, as they stand in a text until it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    /// Something has failed.
    Red,
    /// As it should be.
    Green,
    /// Held back.
    Yellow,
    /// Back to what it was.
    Off,
}

/// What [`fit`] puts for a colour, and what stands for it until then: a mark that nobody else knows, so that no text
/// from elsewhere can be coloured, or colour ours.
const COLOURS: [(Colour, char, &str); 4] = [
    (Colour::Red, 'r', "\u{1b}[31m"),
    (Colour::Green, 'g', "\u{1b}[32m"),
    (Colour::Yellow, 'y', "\u{1b}[33m"),
    (Colour::Off, 'o', "\u{1b}[0m"),
];

/// The mark of a colour, for a text that goes through [`fit`].
#[must_use]
pub(crate) fn mark(colour: Colour) -> String {
    let letter = COLOURS.iter().find(|(known, ..)| *known == colour);
    let letter = letter.map_or('o', |(_, letter, _)| *letter);
    format!("\u{1b}{}{letter}", secret())
}

/// Another one in each process; the standard library takes it from the kernel.
fn secret() -> &'static str {
    static SECRET: OnceLock<String> = OnceLock::new();
    SECRET.get_or_init(|| format!("{:016x}", RandomState::new().build_hasher().finish()))
}

/// Writes to standard error what is wrong, made fit for a person.
pub(crate) fn complain(text: &str) {
    ask(&format!("pp-fetcher: {text}\n"));
}

/// Writes to standard error, made fit for a person; without a new line at its end, where an answer is waited for.
pub(crate) fn ask(text: &str) {
    let _ = std::io::stderr().write_all(fit(text, false).as_bytes());
}

/// `text` with its lines as they are. A tab becomes a blank; other control characters go.
#[must_use]
pub(crate) fn fit(text: &str, colours: bool) -> String {
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
            // Blanks of other widths are blanks; a line is ended by us alone.
            c if c.is_whitespace() && !c.is_control() => out.push(' '),
            c if hostile(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// The colour that a mark at the beginning of `text` stands for, and what comes after the mark.
fn marked(text: &str) -> Option<(&'static str, &str)> {
    let mut rest = text.strip_prefix('\u{1b}')?.strip_prefix(secret())?.chars();
    let letter = rest.next()?;
    let (.., shown) = COLOURS.iter().find(|(_, known, _)| *known == letter)?;
    Some((shown, rest.as_str()))
}

/// JSON that says the same, with every character escaped that [`fit`] would leave out: serde_json leaves those
/// beyond ASCII as they are.
#[must_use]
pub(crate) fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut units = [0; 2];
    for c in text.chars() {
        if c == '\n' || c == ' ' || !hostile(c) {
            out.push(c);
            continue;
        }
        // Only within strings: between them JSON has blanks and line ends.
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
            assert_eq!(fit(text, false), shown, "{text:?}");
        }
        // A colour of somebody else's is none, also where there is colour.
        let ours = format!("{}x{}\u{1b}[31my", mark(Colour::Red), mark(Colour::Off));
        assert_eq!(fit(&ours, true), "\u{1b}[31mx\u{1b}[0m[31my");
        assert_eq!(fit(&ours, false), "x[31my");
    }

    proptest! {
        #[test]
        fn rule_36_no_control_character_but_newline_reaches_a_terminal(text in any::<String>(), more in "[\u{0}-\u{9f}\u{2000}-\u{206f}]{0,40}") {
            let all = text + &more;
            let shown = fit(&all, false);
            prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n'));
            let json_text = serde_json::to_string(&all).unwrap();
            let shown = fit(&json(&json_text), false);
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), all);
        }
    }
}
