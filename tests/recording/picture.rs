//! The recording as a picture: SVG, with each line appearing after the one before. No script and no font of its own, so
//! that a forge shows it as it is.

use std::fmt::Write;

use super::Recorded;

/// The longest line of the picture, in characters.
const WIDTH: usize = 110;
/// The most lines of one command's output: the first and the last of them.
const FIRST: usize = 4;
const LAST: usize = 6;
/// The height of a line and the width of a character, in pixels of the picture.
const LINE: usize = 18;
const CHARACTER: usize = 8;
/// The time between two lines, in milliseconds.
const PACE: usize = 250;

/// A line of the picture, and what it is.
enum Line {
    Typed(String),
    Elsewhere(String),
    Printed(String),
}

/// Draws the recording.
pub(super) fn svg(all: &[Recorded]) -> String {
    let lines: Vec<_> = all.iter().flat_map(lines).collect();
    let (width, height) = (WIDTH * CHARACTER + 40, lines.len() * LINE + 40);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" aria-label=\"From two packages to the first deploy, an update, and a bad push that is taken back\">\n\
         <style>\n  rect {{ fill: #1b1f24 }}\n  text {{ font: 13px ui-monospace, 'DejaVu Sans Mono', monospace; fill: #d0d7de; \
         white-space: pre; opacity: 0; animation: shown 0.01s forwards }}\n  .typed {{ fill: #7ee787; font-weight: bold }}\n  \
         .elsewhere {{ fill: #d2a8ff; font-style: italic }}\n  @keyframes shown {{ to {{ opacity: 1 }} }}\n  \
         @media (prefers-reduced-motion: reduce) {{ text {{ animation-delay: 0s !important }} }}\n</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\"/>\n"
    );
    for (number, line) in lines.iter().enumerate() {
        let (class, text) = match line {
            Line::Typed(text) => ("typed", text),
            Line::Elsewhere(text) => ("elsewhere", text),
            Line::Printed(text) => ("printed", text),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "<text class=\"{class}\" x=\"20\" y=\"{}\" style=\"animation-delay: {}ms\">{}</text>",
            32 + number * LINE,
            number * PACE,
            escaped(text)
        );
    }
    out.push_str("</svg>\n");
    out
}

fn lines(one: &Recorded) -> Vec<Line> {
    let printed: Vec<_> = one
        .printed
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let mut lines = match one.command.strip_prefix("# ") {
        Some(what) => vec![Line::Elsewhere(format!("— {what} —"))],
        None => wrapped(&format!("# {}", one.command))
            .into_iter()
            .map(Line::Typed)
            .collect(),
    };
    let cut = printed.len() > FIRST + LAST + 1;
    for (number, line) in printed.iter().enumerate() {
        if !cut || number < FIRST || number >= printed.len() - LAST {
            lines.push(Line::Printed(shortened(line)));
        } else if number == FIRST {
            lines.push(Line::Printed(format!(
                "  … {} more lines",
                printed.len() - FIRST - LAST
            )));
        }
    }
    lines
}

/// A command over several lines, as one would type it.
fn wrapped(command: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in command.split_whitespace() {
        let full = lines
            .last()
            .is_some_and(|line| line.chars().count() + word.chars().count() + 3 > WIDTH);
        if full {
            if let Some(line) = lines.last_mut() {
                line.push_str(" \\");
            }
            lines.push(format!("    {word}"));
        } else if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

fn shortened(line: &str) -> String {
    match line.chars().count() > WIDTH {
        true => line.chars().take(WIDTH - 1).chain(['…']).collect(),
        false => line.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
