//! The lines with the running steps, below everything that was printed: on standard error, drawn again at each beat.
//!
//! The terminal itself (its size, its cursor, the width of characters) is the library console's. No library of progress
//! bars is above it: such a library estimates speeds, which nobody is shown here, and for that every start of the program
//! would load libm (`tests/bench/RESULTS.md`).

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use console::{Term, truncate_str};

use super::running::RunningStep;
use crate::util::sync::lock;

/// How often the lines are drawn. A step that takes less time than that is not seen running.
const BEAT: Duration = Duration::from_millis(100);

/// The lines, shared by the apps that are polled at the same time.
#[derive(Debug, Clone)]
pub(super) struct StatusLines(Arc<Mutex<Board>>);

/// A line's number, by which its owner changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineId(u64);

#[derive(Debug)]
struct Board {
    term: Term,
    unicode: bool,
    lines: Vec<(LineId, RunningStep)>,
    next: u64,
    /// How many lines the terminal shows now; the cursor is at the end of the last.
    drawn: usize,
    beat: usize,
    /// Whether a thread draws at each beat.
    beating: bool,
}

impl StatusLines {
    /// No line yet; with more than ASCII in the lines if `unicode`.
    pub(super) fn new(unicode: bool) -> Self {
        Self(Arc::new(Mutex::new(Board {
            term: Term::buffered_stderr(),
            unicode,
            lines: Vec::new(),
            next: 0,
            drawn: 0,
            beat: 0,
            beating: false,
        })))
    }

    /// Adds a line below the others.
    pub(super) fn add(&self, step: RunningStep) -> LineId {
        let mut board = lock(&self.0);
        let id = LineId(board.next);
        board.next += 1;
        board.lines.push((id, step));
        if !board.beating {
            let lines = self.clone();
            let begun = thread::Builder::new().spawn(move || lines.draw_at_each_beat());
            // Without the thread, the lines are drawn whenever something is printed.
            board.beating = begun.is_ok();
        }
        id
    }

    /// Changes a line; the next beat shows it.
    pub(super) fn change(&self, id: LineId, change: impl FnOnce(&mut RunningStep)) {
        let mut board = lock(&self.0);
        if let Some((_, step)) = board.lines.iter_mut().find(|(known, _)| *known == id) {
            change(step);
        }
    }

    /// Removes a line, from the terminal as well.
    pub(super) fn remove(&self, id: LineId) {
        let mut board = lock(&self.0);
        board.lines.retain(|(known, _)| *known != id);
        if board.drawn > 0 {
            board.draw();
        }
    }

    /// Calls `print`, which prints whole lines, above the lines with the running steps.
    pub(super) fn print_above(&self, print: impl FnOnce()) {
        let mut board = lock(&self.0);
        let was_drawn = board.drawn > 0;
        board.wipe();
        let _ = board.term.flush();
        print();
        if was_drawn {
            board.draw();
        }
    }

    fn draw_at_each_beat(&self) {
        loop {
            thread::sleep(BEAT);
            let mut board = lock(&self.0);
            if board.lines.is_empty() {
                board.beating = false;
                return;
            }
            board.beat = board.beat.wrapping_add(1);
            board.draw();
        }
    }
}

// An error of the terminal costs the display, and never the deploy.
impl Board {
    fn draw(&mut self) {
        self.wipe();
        let (rows, columns) = self.term.size();
        // The wiping reaches no line that has scrolled away.
        let most = usize::from(rows).saturating_sub(1).max(1);
        for (_, step) in self.lines.iter().take(most) {
            let line = step.line(self.beat, self.unicode);
            let line = truncate_str(line.trim_end(), columns.into(), "");
            let before = if self.drawn > 0 { "\n" } else { "" };
            let _ = self.term.write_str(&format!("{before}{line}"));
            self.drawn += 1;
        }
        let _ = self.term.flush();
    }

    /// Removes what is drawn, and leaves the cursor where the first line began.
    fn wipe(&mut self) {
        if self.drawn > 0 {
            let _ = self.term.clear_line();
            let _ = self.term.clear_last_lines(self.drawn - 1);
        }
        self.drawn = 0;
    }
}
