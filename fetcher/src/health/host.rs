//! The host as the probe uses it: units, processes, the health URL, the clock; a trait and its real driver.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pp_protocol::UnitName;
use tokio::task::JoinHandle;

use super::answer::Answer;
use super::holder::{self, ForeignHolder};
use super::http::{self, Question};
use super::unit::{ProcessSeen, UnitSeen};
use super::units::Systemd;
use super::url::HealthUrl;

/// The host as the probe uses it.
pub(crate) trait Host {
    /// Reads the state of a unit, with its processes as far as they can be seen.
    ///
    /// # Errors
    /// A sentence that says which unit could not be read, and why.
    fn unit(&self, name: &UnitName) -> Result<UnitSeen, String>;

    /// Sends the request `question` and gives the answer, if it comes within `patience`; otherwise the request
    /// stays open, and the next call with the same `question` waits for the same request.
    fn ask(&self, question: &Question, patience: Duration) -> Answer;

    /// Drops a request that is still open.
    fn forget(&self);

    /// Finds a process of pp-fetcher's user that answers at `url` and is not in `own`.
    fn stranger(&self, url: &HealthUrl, own: &BTreeSet<u32>) -> Option<ForeignHolder>;

    /// Gives the time since a fixed moment; never goes back.
    fn now(&self) -> Duration;

    /// Waits for `time`.
    fn sleep(&self, time: Duration);
}

/// This host: systemd over the system bus, `/proc`, and HTTP.
pub(crate) struct SystemHost {
    runtime: tokio::runtime::Runtime,
    systemd: RefCell<Systemd>,
    asked: RefCell<Option<(Question, Duration, JoinHandle<Answer>)>>,
    started: Instant,
}

impl SystemHost {
    /// Makes the driver, with the tokio runtime on which its requests run.
    ///
    /// # Errors
    /// The system has no more descriptors or memory.
    pub(crate) fn new() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self {
            runtime,
            systemd: RefCell::default(),
            asked: RefCell::default(),
            started: Instant::now(),
        })
    }
}

impl Host for SystemHost {
    fn unit(&self, name: &UnitName) -> Result<UnitSeen, String> {
        let mut systemd = self.systemd.borrow_mut();
        let (mut seen, pids) = self.runtime.block_on(systemd.read(name))?;
        seen.cwd = working_directory(seen.main_pid);
        seen.processes = pids.into_iter().filter_map(process).collect();
        Ok(seen)
    }

    fn ask(&self, question: &Question, patience: Duration) -> Answer {
        let mut asked = self.asked.borrow_mut();
        let (question, began, mut task) = match asked.take() {
            Some((same, began, task)) if same == *question => (same, began, task),
            other => {
                if let Some((_, _, task)) = other {
                    task.abort();
                }
                let task = self.runtime.spawn(http::ask(question.clone()));
                (question.clone(), self.now(), task)
            }
        };
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(patience, &mut task).await });
        match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Answer::Failed(error.to_string()),
            Err(_) => {
                let waited = self.now().saturating_sub(began);
                *asked = Some((question, began, task));
                Answer::Waiting(waited)
            }
        }
    }

    fn forget(&self) {
        if let Some((_, _, task)) = self.asked.borrow_mut().take() {
            task.abort();
        }
    }

    fn stranger(&self, url: &HealthUrl, own: &BTreeSet<u32>) -> Option<ForeignHolder> {
        holder::stranger(&url.to, own)
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep(&self, time: Duration) {
        // tokio's sleep, not the thread's: an open request goes on meanwhile.
        self.runtime
            .block_on(async { tokio::time::sleep(time).await });
    }
}

/// Gives the working directory of a process; `None` for another user's process, whose directory cannot be seen.
fn working_directory(pid: u32) -> Option<PathBuf> {
    (pid != 0)
        .then(|| std::fs::read_link(format!("/proc/{pid}/cwd")).ok())
        .flatten()
}

/// Gives the name and directory of a process; `None` for another user's process, which cannot be seen.
fn process(pid: u32) -> Option<ProcessSeen> {
    let cwd = working_directory(pid)?;
    let name = std::fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(ProcessSeen {
        pid,
        name: crate::util::text::line(&name),
        cwd,
    })
}
