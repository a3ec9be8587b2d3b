//! Errors of a request to the worker.

use std::path::PathBuf;
use std::time::Duration;

use pp_objects::ObjectId;
use thiserror::Error;

use crate::space;
use crate::util::text;

/// Why the worker has not done what it was asked.
#[derive(Debug, Error)]
pub(crate) enum WorkerError {
    /// The worker cannot be started.
    #[error("the git worker cannot be started: {source} ({})\n  was pp-fetcher removed or replaced? start it again", program.display())]
    Start {
        /// The worker's program.
        program: PathBuf,
        /// The kernel's error.
        source: std::io::Error,
    },
    /// The worker is of another version than pp-fetcher.
    #[error(
        "the git worker is of version {theirs}, and pp-fetcher of {ours}: pp-fetcher was upgraded while it ran\n  \
         as root: systemctl restart pp-fetcher"
    )]
    Version {
        /// The version that the worker reports.
        theirs: String,
        /// The version that pp-fetcher needs.
        ours: &'static str,
    },
    /// The worker has ended.
    #[error(
        "the git worker {how} while {doing}{}; what it worked on is as it was, or is made anew\n  {advice}",
        text::in_parentheses(said)
    )]
    Ended {
        /// How the worker ended.
        how: String,
        /// The task that the worker had been given.
        doing: &'static str,
        /// What the worker printed to stderr.
        said: String,
        /// What the administrator should do.
        advice: &'static str,
    },
    /// The worker did not finish its task in time.
    #[error("the git worker had not finished {doing} after {} s and was ended{}\n  a slow disk, or a very large repository; the next poll tries again", time.as_secs(), text::in_parentheses(said))]
    TimedOut {
        /// The task that the worker had been given.
        doing: &'static str,
        /// The time limit of the task.
        time: Duration,
        /// What the worker printed to stderr.
        said: String,
    },
    /// pp-fetcher was told to stop during the task.
    #[error(
        "pp-fetcher was told to stop while the git worker was {doing}; the next poll tries again"
    )]
    Stopped {
        /// The task that the worker had been given.
        doing: &'static str,
    },
    /// The worker's answer makes no sense.
    #[error("the git worker answered {what} while {doing}, and was ended\n  {SUSPICION}")]
    Nonsense {
        /// The task that the worker had been given.
        doing: &'static str,
        /// What is wrong with the answer.
        what: String,
    },
    /// The worker handed over another object than the one with the requested id.
    #[error("what the git worker gave as {id} is not the object of that name\n  {SUSPICION}")]
    Forged {
        /// The requested id.
        id: String,
    },
    /// The worker could not carry out the request, and says why.
    #[error("{why}{}", disk(*errno))]
    Refused {
        /// The kind of reason.
        trouble: FailureKind,
        /// The reason in words.
        why: String,
        /// The kernel's error number, if the kernel gave the reason.
        errno: Option<i32>,
    },
    /// The directory of the mirror cannot be made or moved away.
    #[error("cannot {what} {}: {source}{}", path.display(), space::advice(source))]
    Directory {
        /// The action that failed.
        what: &'static str,
        /// The directory or file of the action.
        path: PathBuf,
        /// The kernel's error.
        source: std::io::Error,
    },
}

impl WorkerError {
    /// The error that what was handed over as `id` is another object.
    pub(crate) fn forged(id: ObjectId) -> Self {
        Self::Forged { id: id.to_string() }
    }
}

pub(crate) use pp_objects::protocol::FailureKind;

/// What an answer of the worker that makes no sense, or a forged object, may mean.
const SUSPICION: &str = "either the disk or the memory of this host is bad, or what the forge sent has taken the worker \
    over: it is contained, and nothing of what it did is used; look at who can push before the next poll tries again";

/// Returns the advice for an error of the disk; empty for other errors.
fn disk(errno: Option<i32>) -> &'static str {
    errno.map_or("", |number| {
        space::advice(&std::io::Error::from_raw_os_error(number))
    })
}
