//! What goes to the parent: answers, refusals, progress.

use std::io::{self, Stdout, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use pp_objects::protocol::{self, Answer, FailureKind, Kind, MOST_TEXT, Progress};

use crate::mirror::MirrorError;

/// Progress is told this often at most.
const PAUSE: Duration = Duration::from_millis(100);

/// An answer that is a failure.
pub(crate) struct Refusal(FailureKind, String, Option<i32>);

impl Refusal {
    /// The answer that says so.
    pub(crate) fn into_answer(self) -> Answer {
        let Self(trouble, why, errno) = self;
        Answer::Failed(trouble, shortened(why), errno)
    }

    /// The pack is refused.
    pub(crate) fn pack(why: String) -> Self {
        Self(FailureKind::Pack, why, None)
    }

    /// Anything else.
    pub(crate) fn other(why: impl Into<String>) -> Self {
        Self(FailureKind::Other, why.into(), None)
    }
}

impl From<MirrorError> for Refusal {
    fn from(error: MirrorError) -> Self {
        let (trouble, errno) = match &error {
            MirrorError::NoCommit { kind } => {
                return Self(FailureKind::NoCommit, (*kind).to_owned(), None);
            }
            MirrorError::Broken { .. } => (FailureKind::Broken, None),
            MirrorError::Io { source, .. } => (FailureKind::Other, source.raw_os_error()),
            MirrorError::Object { .. } => (FailureKind::Other, None),
        };
        Self(trouble, error.to_string(), errno)
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::other(error.to_string())
    }
}

/// Where answers go. Several threads write to it.
pub(crate) struct Output(Mutex<(Stdout, Instant)>);

impl Output {
    pub(crate) fn new() -> Self {
        Self(Mutex::new((io::stdout(), Instant::now())))
    }

    /// Writes frames at once.
    ///
    /// # Errors
    /// The parent does not listen any more.
    pub(crate) fn send(&self, frames: &[u8]) -> io::Result<()> {
        let mut to = self
            .0
            .lock()
            .map_err(|error| io::Error::other(error.to_string()))?;
        to.0.write_all(frames)?;
        to.0.flush()
    }

    /// Tells how far the worker has come, unless it has just done so.
    pub(crate) fn tell(&self, now: Progress) {
        let Ok(mut to) = self.0.lock() else { return };
        if to.1.elapsed() < PAUSE && now.done != now.of {
            return;
        }
        to.1 = Instant::now();
        if let Ok(frame) = protocol::json(Kind::Progress, &now) {
            // A parent that does not listen any more ends the worker by itself.
            let _ = to.0.write_all(&frame).and_then(|()| to.0.flush());
        }
    }
}

fn shortened(mut text: String) -> String {
    let end = (0..=MOST_TEXT.min(text.len()))
        .rev()
        .find(|&n| text.is_char_boundary(n));
    text.truncate(end.unwrap_or_default());
    text
}
