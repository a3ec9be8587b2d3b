//! The latest line of a script's output, for a person who watches the script run.

use std::time::{Duration, Instant};

/// Least time between two reported lines: people cannot read more.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// Most bytes of a line that are kept: terminals do not show more.
const WIDTH: usize = 512;

/// The latest line of the output, and the beginning of the next line.
#[derive(Debug, Default)]
pub(super) struct Latest {
    /// The last complete line, until it is reported.
    whole: Option<Vec<u8>>,
    /// The beginning of the line that is not complete yet.
    begun: Vec<u8>,
    /// When a line was last reported.
    told: Option<Instant>,
}

impl Latest {
    /// Calls `tell` with the latest line if the line is new and the last report is [`PAUSE`] ago.
    pub(super) fn tell(&mut self, tell: &mut dyn FnMut(String)) {
        if self.told.is_some_and(|told| told.elapsed() < PAUSE) {
            return;
        }
        if let Some(line) = self.whole.take() {
            self.told = Some(Instant::now());
            tell(String::from_utf8_lossy(&line).into_owned());
        }
    }

    /// Takes a piece of the output.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        // A carriage return ends a line as well: a counter that is rewritten in place shows progress too.
        for piece in bytes.split_inclusive(|b| matches!(b, b'\n' | b'\r')) {
            let (text, ends) = match piece.split_last() {
                Some((b'\n' | b'\r', text)) => (text, true),
                _ => (piece, false),
            };
            let room = WIDTH.saturating_sub(self.begun.len());
            let kept = text.get(..room.min(text.len())).unwrap_or_default();
            self.begun.extend_from_slice(kept);
            if ends {
                let line = std::mem::take(&mut self.begun);
                if !line.trim_ascii().is_empty() {
                    self.whole = Some(line);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(latest: &mut Latest) -> Vec<String> {
        let mut lines = Vec::new();
        latest.tell(&mut |line| lines.push(line));
        lines
    }

    #[test]
    fn the_last_line_that_has_ended_is_told_once() {
        let mut latest = Latest::default();
        latest.hear(b"one\ntwo\nth");
        assert_eq!(told(&mut latest), ["two"]);
        assert!(told(&mut latest).is_empty(), "it is told already");
        latest.told = None;
        latest.hear(b"ree\n\n  \n");
        assert_eq!(told(&mut latest), ["three"], "a blank line says nothing");
        latest.told = None;
        latest.hear(b"10%\r20%\r");
        assert_eq!(told(&mut latest), ["20%"]);
    }

    #[test]
    fn a_line_without_an_end_takes_no_room() {
        let mut latest = Latest::default();
        for _ in 0..1000 {
            latest.hear(&[b'x'; 8192]);
        }
        assert!(told(&mut latest).is_empty());
        latest.hear(b"\n");
        assert_eq!(told(&mut latest), ["x".repeat(WIDTH)]);
    }

    #[test]
    fn lines_in_quick_succession_are_told_a_few_times_a_second() {
        let mut latest = Latest::default();
        let mut count = 0;
        let mut tell = |_| count += 1;
        let until = Instant::now() + 3 * PAUSE;
        while Instant::now() < until {
            latest.hear(b"line\n");
            latest.tell(&mut tell);
        }
        assert!((1..=4).contains(&count), "{count}");
    }
}
