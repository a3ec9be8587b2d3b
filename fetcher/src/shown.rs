//! What of any text may reach a person: nothing that moves the cursor, colours the screen, turns the direction of
//! writing or cannot be seen, wherever the text comes from. Colours of our own pass where there is colour.

use std::io::Write;

use crate::git::text::hostile;

/// The only sequences that pass, as the command line's styles have them: red, green, yellow, and back.
const COLOURS: [&str; 4] = ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[0m"];

/// Writes to standard error what is wrong, made fit for a person.
pub fn complain(text: &str) {
    ask(&format!("pp-fetcher: {text}\n"));
}

/// Writes to standard error, made fit for a person; without a new line at its end, where an answer is waited for.
pub fn ask(text: &str) {
    let _ = std::io::stderr().write_all(fit(text, false).as_bytes());
}

/// `text` with its lines as they are. A tab becomes a blank; other control characters go.
#[must_use]
pub fn fit(text: &str, colours: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let colour = COLOURS
            .iter()
            .find(|colour| colours && rest.starts_with(**colour));
        let length = colour.map_or(c.len_utf8(), |colour| colour.len());
        let (now, after) = rest.split_at(length);
        rest = after;
        match c {
            _ if colour.is_some() => out.push_str(now),
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

/// JSON that says the same, with every character escaped that [`fit`] would leave out: serde_json leaves those
/// beyond ASCII as they are.
#[must_use]
pub fn json(text: &str) -> String {
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
        assert_eq!(
            fit("\u{1b}[31mx\u{1b}[0m\u{1b}[5m", true),
            "\u{1b}[31mx\u{1b}[0m[5m"
        );
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
