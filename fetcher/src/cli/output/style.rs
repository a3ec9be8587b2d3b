//! Colours and marks: green for a good result, red for a failure, yellow for something that is held back.

use std::io::stdout;

use anstream::{AutoStream, ColorChoice};

use crate::sanitize::{Colour, mark_colour};

/// The meaning of a word, which selects its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// No particular meaning; no colour.
    Plain,
    /// A good result.
    Good,
    /// Something is held back, paused, or went back: a person may want to look.
    Held,
    /// A failure.
    Bad,
}

/// How text is shown: with or without colour, with or without Unicode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TextStyle {
    colour: bool,
    /// Whether more than ASCII can be shown.
    pub unicode: bool,
}

impl TextStyle {
    /// Reads from `--color`, `NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE`, the locale and standard output how
    /// text is shown.
    #[must_use]
    pub(crate) fn stdout() -> Self {
        Self {
            colour: AutoStream::choice(&stdout()) != ColorChoice::Never,
            unicode: unicode(|name| std::env::var(name).ok()),
        }
    }

    /// Whether text is shown in colour.
    #[must_use]
    pub(crate) fn has_colour(self) -> bool {
        self.colour
    }

    /// Gives `text` in the colour of `tone`, in the form that [`crate::sanitize::sanitize`] expects.
    #[must_use]
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        let colour = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Good => Colour::Green,
            Tone::Held => Colour::Yellow,
            Tone::Bad => Colour::Red,
        };
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        format!("{}{text}{}", mark_colour(colour), mark_colour(Colour::Off))
    }

    /// Gives the mark of an ended step.
    #[must_use]
    pub(crate) fn mark_result(self, well: bool) -> String {
        match (well, self.unicode) {
            (true, true) => self.paint(Tone::Good, "\u{2713}"),
            (true, false) => self.paint(Tone::Good, "+"),
            (false, true) => self.paint(Tone::Bad, "\u{2717}"),
            (false, false) => self.paint(Tone::Bad, "x"),
        }
    }
}

/// Whether the locale's characters are Unicode: the first of these variables that is set decides.
fn unicode(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
impl TextStyle {
    /// Shows text without colour.
    pub(crate) fn plain() -> Self {
        Self {
            colour: false,
            unicode: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_decides_whether_marks_are_more_than_ascii() {
        let of = |lc_all: &str, lang: &str| {
            unicode(|name| match name {
                "LC_ALL" => Some(lc_all.to_owned()),
                "LANG" => Some(lang.to_owned()),
                _ => None,
            })
        };
        assert!(of("", "de_DE.UTF-8") && of("C.utf8", "C"));
        assert!(!of("C", "de_DE.UTF-8") && !of("", "POSIX") && !of("", ""));
    }

    #[test]
    fn without_colour_text_stays_as_it_is() {
        assert_eq!(TextStyle::plain().paint(Tone::Bad, "failed"), "failed");
        let colour = TextStyle {
            colour: true,
            unicode: false,
        };
        let shown = crate::sanitize::sanitize(&colour.mark_result(false), true);
        assert_eq!(shown, "\u{1b}[31mx\u{1b}[0m");
        assert_eq!(colour.paint(Tone::Plain, "x"), "x");
    }
}
