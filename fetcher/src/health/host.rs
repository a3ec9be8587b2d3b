//! How this host is looked at, and waited for.

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

/// The host as the probe sees it.
pub(crate) trait Host {
    /// The state of a unit, with what can be seen of its processes.
    ///
    /// # Errors
    /// A sentence: what could not be asked, and why.
    fn unit(&self, name: &UnitName) -> Result<UnitSeen, String>;

    /// What comes of `question`, if it comes within `patience`; otherwise the request goes on, and the
    /// next call waits for the same one.
    fn ask(&self, question: &Question, patience: Duration) -> Answer;

    /// Gives up a request that is under way.
    fn forget(&self);

    /// A process of our user that answers at `url` and is none of `own`.
    fn stranger(&self, url: &HealthUrl, own: &BTreeSet<u32>) -> Option<ForeignHolder>;

    /// Time since some fixed moment; never goes back.
    fn now(&self) -> Duration;

    /// Waits.
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
    /// Makes the runtime that the edges wait on.
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
        // Not of the thread: a request that is under way goes on meanwhile.
        self.runtime
            .block_on(async { tokio::time::sleep(time).await });
    }
}

/// Where a process works, if it is one of ours: another user's cannot be seen.
fn working_directory(pid: u32) -> Option<PathBuf> {
    (pid != 0)
        .then(|| std::fs::read_link(format!("/proc/{pid}/cwd")).ok())
        .flatten()
}

/// What can be seen of a process; one of another user's cannot.
fn process(pid: u32) -> Option<ProcessSeen> {
    let cwd = working_directory(pid)?;
    let name = std::fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(ProcessSeen {
        pid,
        name: crate::util::text::line(&name),
        cwd,
    })
}
