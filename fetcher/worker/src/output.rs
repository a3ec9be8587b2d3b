//! The worker's output to its parent: answers, refusals, progress.

use std::io::{self, Stdout, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use pp_objects::protocol::{self, Answer, FailureKind, Kind, MOST_TEXT, Progress};

use crate::mirror::MirrorError;

/// The shortest time between two reports of progress.
const PAUSE: Duration = Duration::from_millis(100);

/// The reason why a request could not be carried out.
pub(crate) struct Refusal(FailureKind, String, Option<i32>);

impl Refusal {
    /// Converts the refusal into the answer [`Answer::Failed`].
    pub(crate) fn into_answer(self) -> Answer {
        let Self(trouble, why, errno) = self;
        Answer::Failed(trouble, shortened(why), errno)
    }

    /// Makes a refusal of a pack.
    pub(crate) fn pack(why: String) -> Self {
        Self(FailureKind::Pack, why, None)
    }

    /// Makes a refusal for any other reason.
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

impl From<git2::Error> for Refusal {
    fn from(error: git2::Error) -> Self {
        Self::other(error.message())
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::other(error.to_string())
    }
}

/// The pipe to the parent. Several threads write to it.
pub(crate) struct Output(Mutex<(Stdout, Instant)>);

impl Output {
    pub(crate) fn new() -> Self {
        Self(Mutex::new((io::stdout(), Instant::now())))
    }

    /// Writes frames and flushes the pipe.
    ///
    /// # Errors
    /// The parent no longer reads the pipe.
    pub(crate) fn send(&self, frames: &[u8]) -> io::Result<()> {
        let mut to = self
            .0
            .lock()
            .map_err(|error| io::Error::other(error.to_string()))?;
        to.0.write_all(frames)?;
        to.0.flush()
    }

    /// Reports how far the worker has got, unless the last report was only just sent.
    pub(crate) fn tell(&self, now: Progress) {
        let Ok(mut to) = self.0.lock() else { return };
        if to.1.elapsed() < PAUSE && now.done != now.of {
            return;
        }
        to.1 = Instant::now();
        if let Ok(frame) = protocol::json(Kind::Progress, &now) {
            // An error is ignored: a parent that no longer reads the pipe ends the worker anyway.
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
