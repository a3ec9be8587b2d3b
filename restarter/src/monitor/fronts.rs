//! The processes that face callers: one serves, the others wait to take its place. The monitor has given up
//! starting programs by the time it serves, so those that may be needed are there beforehand. One that waits
//! has no policy yet and accepts nobody.

use std::collections::VecDeque;
use std::io;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

/// The fronts that are there, by the monitor's ends of their pairs.
#[derive(Debug)]
pub struct Fronts {
    waiting: VecDeque<UnixStream>,
    /// The policy as bytes: what a front waits for.
    policy: Vec<u8>,
}

impl Fronts {
    /// All that there will be.
    #[must_use]
    pub fn new(pairs: impl IntoIterator<Item = UnixStream>, policy: Vec<u8>) -> Self {
        Self {
            waiting: pairs.into_iter().collect(),
            policy,
        }
    }

    /// Has the next one serve.
    ///
    /// # Errors
    /// There is none left.
    pub(super) async fn next(&mut self) -> io::Result<UnixStream> {
        while let Some(mut pair) = self.waiting.pop_front() {
            // One that has died while it waited is passed over.
            if pair.write_all(&self.policy).await.is_ok() {
                return Ok(pair);
            }
        }
        Err(io::Error::other(
            "no process is left that could face callers: the next connection starts the service again",
        ))
    }
}
