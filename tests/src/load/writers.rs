//! Clients that add rows and files, read, and remember all that was acknowledged to them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::{CLIENTS, PAUSE, Tally};
use crate::lab::{Lab, request};

/// How many of the failures are kept in full.
const SHOWN: usize = 10;

/// Every so many rounds a client uploads a file.
const UPLOAD_EVERY: u32 = 10;

/// Clients that go on until they are stopped.
#[derive(Debug)]
pub struct Writers {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Result<Written>>>,
}

/// What became of it.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// The requests, all kinds together.
    pub tally: Tally,
    /// Texts of the rows that the app said it has added; each was sent once.
    pub rows: BTreeSet<String>,
    /// Names of the files that the app said it has kept.
    pub files: BTreeSet<String>,
    /// First words of the pages, `todo VERSION`.
    pub versions: BTreeSet<String>,
    /// The first failures in full.
    pub failures: Vec<String>,
    took: Vec<Duration>,
}

impl Writers {
    /// Starts writing to an app on a port of the host's loopback; what is written begins with `run`.
    ///
    /// # Errors
    /// The host's network cannot be joined.
    pub fn start(lab: &Lab, port: u16, run: &str) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            let network = lab.network()?;
            let stop = Arc::clone(&stop);
            let name = format!("{run}-{number}");
            clients.push(std::thread::spawn(move || {
                network.join()?;
                let mut written = Written::default();
                for round in 1.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    written.round(port, &format!("{name}-{round}"), round);
                }
                Ok(written)
            }));
        }
        Ok(Self { stop, clients })
    }

    /// Stops it and puts together what the clients know.
    ///
    /// # Errors
    /// A client could not run.
    pub fn stop(self) -> Result<Written> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Written::default();
        for client in self.clients {
            let one = client.join().map_err(|_| anyhow!("a client panicked"))??;
            all.tally.add(&one.tally);
            all.rows.extend(one.rows);
            all.files.extend(one.files);
            all.versions.extend(one.versions);
            all.failures.extend(one.failures);
            all.took.extend(one.took);
        }
        all.took.sort_unstable();
        Ok(all)
    }
}

impl Written {
    /// One row, one look, now and then a file.
    fn round(&mut self, port: u16, name: &str, round: u32) {
        if self
            .ask(port, "POST", &format!("/add?text={name}"))
            .is_some()
        {
            self.rows.insert(name.to_owned());
        }
        if round.is_multiple_of(UPLOAD_EVERY)
            && self
                .ask(port, "POST", &format!("/upload?name={name}"))
                .is_some()
        {
            self.files.insert(name.to_owned());
        }
        if let Some(page) = self.ask(port, "GET", "/") {
            let version = page.split(',').next().unwrap_or_default();
            self.versions.insert(version.to_owned());
        }
    }

    /// The page, if it came with a 200.
    fn ask(&mut self, port: u16, method: &str, path: &str) -> Option<String> {
        let start = Instant::now();
        let answer = request(port, method, path);
        let took = start.elapsed();
        self.tally.count(&answer, took);
        std::thread::sleep(PAUSE);
        match answer {
            Ok(answer) if answer.status == 200 => {
                self.took.push(took);
                Some(answer.body)
            }
            other => {
                if self.failures.len() < SHOWN {
                    let what = other.map_or_else(|e| format!("{e:#}"), |a| format!("{a:?}"));
                    self.failures
                        .push(format!("{method} {path} after {took:?}: {what}"));
                }
                None
            }
        }
    }

    /// The wait that so many of a thousand good answers did not exceed.
    #[must_use]
    pub fn within(&self, thousandths: usize) -> Duration {
        let last = self.took.len().saturating_sub(1);
        let at = last * thousandths / 1000;
        self.took.get(at).copied().unwrap_or_default()
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} requests, {} failed, {} rows, {} files, {} versions seen; waits: median {:?}, 99 % within {:?}, slowest {:?}",
            self.tally.sent(),
            self.tally.failed(),
            self.rows.len(),
            self.files.len(),
            self.versions.len(),
            self.within(500),
            self.within(990),
            self.tally.longest,
        )?;
        for failure in &self.failures {
            write!(f, "\n  {failure}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_told_by_their_rank() {
        let took = (1..=100).map(Duration::from_millis).collect();
        let written = Written {
            took,
            ..Written::default()
        };
        let ranks = [0, 500, 990, 1000].map(|rank| written.within(rank).as_millis());
        assert_eq!(ranks, [1, 50, 99, 100]);
        assert_eq!(Written::default().within(990), Duration::ZERO);
    }
}
