//! The latest line of a script's output, for somebody who watches it run.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Least time between two lines that are told: more nobody can read.
const PAUSE: Duration = Duration::from_millis(100);

/// Most bytes of a line that are remembered: more no terminal shows.
const WIDTH: usize = 512;

/// What was last written, shared by the thread that copies the output and the one that waits.
#[derive(Debug, Default, Clone)]
pub(super) struct Latest(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// The last line that has ended, until it is told.
    whole: Option<Vec<u8>>,
    /// The beginning of the one that has not.
    begun: Vec<u8>,
}

impl Latest {
    /// What is read from `inner` is heard here.
    pub(super) fn listen<R>(&self, inner: R) -> Listening<R> {
        Listening {
            inner,
            latest: self.clone(),
        }
    }

    /// Tells `tell` the latest line whenever there is a new one and enough time has passed.
    pub(super) fn telling(&self, tell: &mut dyn FnMut(String)) -> impl FnMut() {
        let mut told: Option<Instant> = None;
        move || {
            if told.is_some_and(|told| told.elapsed() < PAUSE) {
                return;
            }
            let line = self.seen().whole.take();
            if let Some(line) = line {
                told = Some(Instant::now());
                tell(String::from_utf8_lossy(&line).into_owned());
            }
        }
    }

    fn hear(&self, bytes: &[u8]) {
        let mut seen = self.seen();
        // A carriage return ends a line as well: what counts upwards in place is progress too.
        for piece in bytes.split_inclusive(|b| matches!(b, b'\n' | b'\r')) {
            let (text, ends) = match piece.split_last() {
                Some((b'\n' | b'\r', text)) => (text, true),
                _ => (piece, false),
            };
            let room = WIDTH.saturating_sub(seen.begun.len());
            let kept = text.get(..room.min(text.len())).unwrap_or_default();
            seen.begun.extend_from_slice(kept);
            if ends {
                let line = std::mem::take(&mut seen.begun);
                if !line.trim_ascii().is_empty() {
                    seen.whole = Some(line);
                }
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader whose bytes are heard as they pass.
pub(super) struct Listening<R> {
    inner: R,
    latest: Latest,
}

impl<R: Read> Read for Listening<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.latest.hear(into.get(..count).unwrap_or_default());
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(latest: &Latest) -> Vec<String> {
        let mut lines = Vec::new();
        latest.telling(&mut |line| lines.push(line))();
        lines
    }

    #[test]
    fn the_last_line_that_has_ended_is_told_once() {
        let latest = Latest::default();
        latest.hear(b"one\ntwo\nth");
        assert_eq!(told(&latest), ["two"]);
        assert!(told(&latest).is_empty(), "it is told already");
        latest.hear(b"ree\n\n  \n");
        assert_eq!(told(&latest), ["three"], "a blank line says nothing");
        latest.hear(b"10%\r20%\r");
        assert_eq!(told(&latest), ["20%"]);
    }

    #[test]
    fn a_line_without_an_end_takes_no_room() {
        let latest = Latest::default();
        for _ in 0..1000 {
            latest.hear(&[b'x'; 8192]);
        }
        assert!(told(&latest).is_empty());
        latest.hear(b"\n");
        assert_eq!(told(&latest), ["x".repeat(WIDTH)]);
    }

    #[test]
    fn lines_in_quick_succession_are_told_a_few_times_a_second() {
        let latest = Latest::default();
        let mut count = 0;
        let mut tell = |_| count += 1;
        let mut telling = latest.telling(&mut tell);
        let until = Instant::now() + 3 * PAUSE;
        while Instant::now() < until {
            latest.hear(b"line\n");
            telling();
        }
        drop(telling);
        assert!((1..=4).contains(&count), "{count}");
    }
}
