//! Requests all the time, and what became of each: how a deploy is felt by those who are served.
//!
//! - [`writers`]: clients that write as well, and remember what was acknowledged.

pub mod writers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::lab::{Lab, Response, request};

/// Clients at once, each with one request at a time.
const CLIENTS: usize = 4;

/// Pause of a client between two requests.
const PAUSE: Duration = Duration::from_millis(10);

/// Clients that go on until they are stopped.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Result<Tally>>>,
}

/// What became of the requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Answered with 200.
    pub good: u32,
    /// Not let in: nobody listened.
    pub refused: u32,
    /// Let in, and then no whole answer.
    pub broken: u32,
    /// Answered with another status than 200.
    pub wrong: u32,
    /// The longest wait for a good answer.
    pub longest: Duration,
    /// From the first failure to the last of one client, at most; zero where none failed.
    pub outage: Duration,
}

impl Tally {
    /// All requests.
    #[must_use]
    pub fn sent(&self) -> u32 {
        self.good + self.failed()
    }

    /// All that did not get a 200.
    #[must_use]
    pub fn failed(&self) -> u32 {
        self.refused + self.broken + self.wrong
    }

    fn add(&mut self, other: &Self) {
        self.good += other.good;
        self.refused += other.refused;
        self.broken += other.broken;
        self.wrong += other.wrong;
        self.longest = self.longest.max(other.longest);
        self.outage = self.outage.max(other.outage);
    }

    fn count(&mut self, answer: &Result<Response>, took: Duration) {
        match answer {
            Ok(Response { status: 200, .. }) => {
                self.good += 1;
                self.longest = self.longest.max(took);
            }
            Ok(_) => self.wrong += 1,
            Err(error) if is_refused(error) => self.refused += 1,
            Err(_) => self.broken += 1,
        }
    }
}

impl Load {
    /// Starts requesting `path` from a port of the host's loopback.
    ///
    /// # Errors
    /// The host's network cannot be joined.
    pub fn start(lab: &Lab, port: u16, path: &'static str) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let network = lab.network()?;
            let stop = Arc::clone(&stop);
            clients.push(std::thread::spawn(move || {
                network.join()?;
                Ok(client(port, path, &stop))
            }));
        }
        Ok(Self { stop, clients })
    }

    /// Stops it and adds up.
    ///
    /// # Errors
    /// A client could not run.
    pub fn stop(self) -> Result<Tally> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        for client in self.clients {
            all.add(&client.join().map_err(|_| anyhow!("a client panicked"))??);
        }
        Ok(all)
    }
}

fn client(port: u16, path: &str, stop: &AtomicBool) -> Tally {
    let mut tally = Tally::default();
    let mut first_failure = None;
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        let before = tally.failed();
        tally.count(&request(port, "GET", path), start.elapsed());
        if tally.failed() > before {
            tally.outage = first_failure.get_or_insert(start).elapsed();
        }
        std::thread::sleep(PAUSE);
    }
    tally
}

fn is_refused(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_200_is_good() {
        let mut tally = Tally::default();
        let took = Duration::from_millis(3);
        let answer = |status| {
            Ok(Response {
                status,
                body: String::new(),
            })
        };
        tally.count(&answer(200), took);
        tally.count(&answer(502), took);
        tally.count(
            &Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into()),
            took,
        );
        tally.count(&Err(anyhow!("half an answer")), took);
        assert_eq!(
            (tally.good, tally.wrong, tally.refused, tally.broken),
            (1, 1, 1, 1)
        );
        assert_eq!((tally.sent(), tally.failed(), tally.longest), (4, 3, took));
    }
}
