//! What of an event may reach a message: words of a fixed alphabet, and texts that are cut and cleaned.

use pp_events::Event;

/// A word from an event, such as an app or a code, if it is one: `[A-Za-z0-9._-]`, at most 64 characters. Anything else
/// becomes `?`, so that no event puts anything into a header, an address or a subject.
#[must_use]
pub(crate) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let mut out: String = text
        .chars()
        .take(64)
        .map(|c| if plain(c) { c } else { '?' })
        .collect();
    if out.is_empty() {
        out.push('?');
    }
    out
}

/// The name of a message: as a word, but of any length that an event's name may have.
#[must_use]
pub(crate) fn id(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let mapped = text.chars().take(LONGEST_ID);
    let mapped: String = mapped.map(|c| if plain(c) { c } else { '.' }).collect();
    // Never a name such as `..`, which a server may read as a way.
    format!("pp-{mapped}")
}

/// The most characters of a message's name.
const LONGEST_ID: usize = 220;

/// The most bytes of an event's name, app, host and code. Honest ones are shorter.
const LONGEST_WORD: usize = 128;

/// The event with each text cut to what is ever told; `None` if one of its words is longer than any honest one.
#[must_use]
pub(crate) fn bounded(mut event: Event) -> Option<Event> {
    let words = [
        Some(&event.id),
        Some(&event.host),
        event.app.as_ref(),
        event.code.as_ref(),
    ];
    let revisions = [
        event.revision.as_ref(),
        event.previous.as_ref(),
        event.live.as_ref(),
    ];
    let long = |word: &&String| word.len() > LONGEST_WORD;
    if words
        .into_iter()
        .chain(revisions)
        .flatten()
        .any(|word| long(&word))
    {
        return None;
    }
    for text in [&mut event.author, &mut event.subject, &mut event.by] {
        *text = text.as_deref().map(|text| line(text, 300));
    }
    event.reason = event.reason.as_deref().map(|reason| text(reason, 1500));
    Some(event)
}

/// A revision from an event, if it is one: 40 digits of hexadecimal.
#[must_use]
pub(crate) fn revision(text: &str) -> Option<&str> {
    let is = text.len() == 40
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
    is.then_some(text)
}

/// A text as one line of at most `most` characters.
#[must_use]
pub(crate) fn line(text: &str, most: usize) -> String {
    let mut out = String::new();
    for c in text.chars().map(|c| if hostile(c) { ' ' } else { c }) {
        if !(c == ' ' && (out.is_empty() || out.ends_with(' '))) {
            out.push(c);
        }
    }
    cut(out.trim_end(), most)
}

/// A text of several lines, of at most `most` characters in all.
#[must_use]
pub(crate) fn text(text: &str, most: usize) -> String {
    let lines: Vec<_> = text
        .lines()
        .map(|l| {
            let indent = l.chars().take_while(|c| *c == ' ').take(8).count();
            format!("{}{}", " ".repeat(indent), line(l, 300))
        })
        .take(40)
        .collect();
    cut(lines.join("\n").trim_end(), most)
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(most.saturating_sub(1)).collect();
    out.push('\u{2026}');
    out
}

/// Characters that move the cursor, colour the screen, turn the direction of writing or are not seen.
fn hostile(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_holds_nothing_that_a_header_or_an_address_could_be_made_of() {
        assert_eq!(word("todo_django"), "todo_django");
        assert_eq!(word("a\r\nBcc: x"), "a??Bcc??x");
        assert_eq!(word("../../x?y=1&z"), "..?..?x?y?1?z");
        assert_eq!(word(""), "?");
        assert_eq!(word(&"x".repeat(1000)).len(), 64);
        assert_eq!(revision(&"a".repeat(40)).map(str::len), Some(40));
        for bad in [
            "",
            "../..",
            &"g".repeat(40),
            &"A".repeat(40),
            &"a".repeat(41),
        ] {
            assert_eq!(revision(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_text_has_no_character_that_does_anything_and_is_cut() {
        assert_eq!(
            line("a\u{1b}[31mred\u{202e}\r\n  b\u{0}", 100),
            "a [31mred b"
        );
        assert_eq!(line("abcdef", 4), "abc\u{2026}");
        assert_eq!(text("one\n  two\r\n\u{7}three", 100), "one\n  two\nthree");
        assert!(text(&"x\n".repeat(10_000), 500).chars().count() <= 500);
    }
}
