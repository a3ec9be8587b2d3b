//! How this host is looked at, and waited for.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use pp_protocol::UnitName;

use super::url::HealthUrl;
use super::watch::UnitSeen;
use super::{http, units};

/// The host as the probe sees it.
pub trait Host {
    /// The state of a unit.
    ///
    /// # Errors
    /// A sentence: what could not be asked, and why.
    fn unit(&self, name: &UnitName) -> Result<UnitSeen, String>;

    /// The status that the health URL answers with, within `timeout`.
    ///
    /// # Errors
    /// A sentence: what went wrong on the way.
    fn ask(&self, url: &HealthUrl, timeout: Duration) -> Result<u16, String>;

    /// Time since some fixed moment; never goes back.
    fn now(&self) -> Duration;

    /// Waits.
    fn sleep(&self, time: Duration);
}

/// This host: systemd over the system bus, `/proc`, and HTTP.
#[derive(Debug)]
pub struct SystemHost {
    runtime: tokio::runtime::Runtime,
    started: Instant,
}

impl SystemHost {
    /// Makes the runtime that the edges wait on.
    ///
    /// # Errors
    /// The system has no more descriptors or memory.
    pub fn new() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self {
            runtime,
            started: Instant::now(),
        })
    }
}

impl Host for SystemHost {
    fn unit(&self, name: &UnitName) -> Result<UnitSeen, String> {
        let mut seen = self.runtime.block_on(units::read(name))?;
        seen.cwd = working_directory(seen.main_pid);
        Ok(seen)
    }

    fn ask(&self, url: &HealthUrl, timeout: Duration) -> Result<u16, String> {
        self.runtime.block_on(http::status(url, timeout))
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// Where a process works, if it is one of ours: another user's cannot be seen.
fn working_directory(pid: u32) -> Option<PathBuf> {
    (pid != 0)
        .then(|| std::fs::read_link(format!("/proc/{pid}/cwd")).ok())
        .flatten()
}
