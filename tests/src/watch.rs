//! When a new version is served for the first time.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

use crate::lab::{Lab, request};

/// Pause between two looks: the error of what is measured.
const PAUSE: Duration = Duration::from_millis(5);

/// Looks at an app's first page until it begins as it should.
#[derive(Debug)]
pub struct Watch(JoinHandle<Result<Instant>>);

impl Watch {
    /// Starts looking, for `within` at most.
    ///
    /// # Errors
    /// The host's network cannot be joined.
    pub fn start(lab: &Lab, port: u16, text: &str, within: Duration) -> Result<Self> {
        let network = lab.network()?;
        let text = text.to_owned();
        let start = Instant::now();
        Ok(Self(std::thread::spawn(move || {
            network.join()?;
            loop {
                let answer = request(port, "GET", "/");
                if answer.is_ok_and(|a| a.status == 200 && a.body.starts_with(&text)) {
                    return Ok(Instant::now());
                }
                ensure!(
                    start.elapsed() < within,
                    "{text:?} was not served within {within:?}"
                );
                std::thread::sleep(PAUSE);
            }
        })))
    }

    /// When it was served first.
    ///
    /// # Errors
    /// It was not, in time.
    pub fn seen(self) -> Result<Instant> {
        self.0
            .join()
            .map_err(|_| anyhow!("the watching thread ended"))?
    }
}
