//! The fronts, which are the processes that face callers: one serves, the others wait to take its place.
//! The monitor has given up the right to start programs by the time it serves, so all fronts that may be
//! needed are started beforehand. A front that waits has no policy yet and accepts no connection.

use std::collections::VecDeque;
use std::io;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

/// The fronts that wait, each represented by the monitor's end of its socket pair.
#[derive(Debug)]
pub struct Fronts {
    waiting: VecDeque<UnixStream>,
    /// The encoded policy. A front begins to serve as soon as it has received these bytes.
    policy: Vec<u8>,
}

impl Fronts {
    /// Creates the list of waiting fronts. No front can be added later.
    #[must_use]
    pub fn new(pairs: impl IntoIterator<Item = UnixStream>, policy: Vec<u8>) -> Self {
        Self {
            waiting: pairs.into_iter().collect(),
            policy,
        }
    }

    /// Makes the next waiting front serve, by sending it the policy, and returns its pair.
    ///
    /// # Errors
    /// No front is left.
    pub(super) async fn next(&mut self) -> io::Result<UnixStream> {
        while let Some(mut pair) = self.waiting.pop_front() {
            // A front that has died while it waited cannot be written to and is skipped.
            if pair.write_all(&self.policy).await.is_ok() {
                return Ok(pair);
            }
        }
        Err(io::Error::other(
            "no process is left that could face callers: the next connection starts the service again",
        ))
    }
}
