//! Tables for a terminal: each column is as wide as its longest text.

use super::output::style::{TextStyle, Tone};

/// A table of text; its first row is the headings.
pub(super) struct Table<const N: usize> {
    rows: Vec<[Cell; N]>,
}

/// One cell: its text, and the tone that selects its colour.
pub(super) struct Cell {
    tone: Tone,
    text: String,
}

impl Cell {
    pub(super) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self {
            tone,
            text: text.into(),
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(Tone::Plain, text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(Tone::Plain, text)
    }
}

impl<const N: usize> Table<N> {
    pub(super) fn new(headings: [&str; N]) -> Self {
        Self {
            rows: vec![headings.map(Cell::from)],
        }
    }

    pub(super) fn row(&mut self, cells: [Cell; N]) {
        self.rows.push(cells);
    }

    /// Gives the lines of the table, in colour if `look` has colour.
    pub(super) fn render(&self, look: TextStyle) -> String {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.chars().count());
            }
        }
        let mut lines = String::new();
        for row in &self.rows {
            let mut line = String::new();
            // The blanks before the next text; none are added at the end of a line.
            let mut gap = 0;
            for (cell, width) in row.iter().zip(widths) {
                if !cell.text.is_empty() {
                    line.push_str(&" ".repeat(gap));
                    line.push_str(&look.paint(cell.tone, &cell.text));
                    gap = 0;
                }
                gap += width - cell.text.chars().count() + 2;
            }
            lines.push_str(&line);
            lines.push('\n');
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_no_line_ends_in_blanks() {
        let mut table = Table::new(["APP", "X"]);
        table.row(["todo_django", ""].map(Cell::from));
        table.row(["b", "ok"].map(Cell::from));
        assert_eq!(
            table.render(TextStyle::plain()),
            "APP          X\ntodo_django\nb            ok\n"
        );
    }
}
