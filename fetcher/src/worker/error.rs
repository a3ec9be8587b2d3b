//! Why nothing came of asking the worker.

use std::path::PathBuf;
use std::time::Duration;

use crate::util::text;
use thiserror::Error;

use crate::space;

/// Why the worker has not done what it was asked.
#[derive(Debug, Error)]
pub(crate) enum WorkerError {
    /// The worker did not start.
    #[error("the git worker cannot be started: {source} ({})\n  was pp-fetcher removed or replaced? start it again", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The worker is of another version than this program.
    #[error(
        "the git worker is of version {theirs}, and pp-fetcher of {ours}: pp-fetcher was upgraded while it ran\n  \
         as root: systemctl restart pp-fetcher"
    )]
    Version {
        /// What the worker says.
        theirs: String,
        /// What would fit.
        ours: &'static str,
    },
    /// The worker is gone.
    #[error(
        "the git worker {how} while {doing}{}; what it worked on is as it was, or is made anew\n  {advice}",
        text::in_parentheses(said)
    )]
    Ended {
        /// How it ended.
        how: String,
        /// What it had been asked.
        doing: &'static str,
        /// What it said.
        said: String,
        /// What to do.
        advice: &'static str,
    },
    /// The worker did not finish.
    #[error("the git worker had not finished {doing} after {} s and was ended{}\n  a slow disk, or a very large repository; the next poll tries again", time.as_secs(), text::in_parentheses(said))]
    TimedOut {
        /// What it had been asked.
        doing: &'static str,
        /// Its time.
        time: Duration,
        /// What it said.
        said: String,
    },
    /// pp-fetcher is to stop.
    #[error(
        "pp-fetcher was told to stop while the git worker was {doing}; the next poll tries again"
    )]
    Stopped {
        /// What it had been asked.
        doing: &'static str,
    },
    /// What the worker says makes no sense.
    #[error("the git worker answered {what} while {doing}, and was ended\n  {SUSPICION}")]
    Nonsense {
        /// What it had been asked.
        doing: &'static str,
        /// What is wrong with the answer.
        what: String,
    },
    /// The worker handed over something else than what was named.
    #[error("what the git worker gave as {id} is not the object of that name\n  {SUSPICION}")]
    Forged {
        /// The name.
        id: String,
    },
    /// The worker says why it cannot.
    #[error("{why}{}", disk(*errno))]
    Refused {
        /// What kind of reason that is.
        trouble: FailureKind,
        /// In words.
        why: String,
        /// The kernel's error, where that is the reason.
        errno: Option<i32>,
    },
    /// The directory of the mirror cannot be made or moved away.
    #[error("cannot {what} {}: {source}{}", path.display(), space::advice(source))]
    Directory {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
}

pub(crate) use pp_objects::protocol::FailureKind;

/// What a lie may mean.
const SUSPICION: &str = "either the disk or the memory of this host is bad, or what the forge sent has taken the worker \
    over: it is contained, and nothing of what it did is used; look at who can push before the next poll tries again";

/// What to do about an error of the disk.
fn disk(errno: Option<i32>) -> &'static str {
    errno.map_or("", |number| {
        space::advice(&std::io::Error::from_raw_os_error(number))
    })
}
