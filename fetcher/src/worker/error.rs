//! Why nothing came of asking the worker.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::git::RemoteError;
use crate::proof::written::Differs;

/// Why the worker has not done what it was asked.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// It did not start.
    #[error("the git worker cannot be started: {source} ({})\n  was pp-fetcher removed or replaced? start it again", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// It is gone.
    #[error(
        "the git worker {how} while {doing}{}; what it worked on is as it was, or is made anew\n  {advice}",
        heard(said)
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
    /// It did not finish.
    #[error("the git worker had not finished {doing} after {} s and was ended{}\n  a slow disk, or a very large repository; the next poll tries again", time.as_secs(), heard(said))]
    TimedOut {
        /// What it had been asked.
        doing: &'static str,
        /// Its time.
        time: Duration,
        /// What it said.
        said: String,
    },
    /// What it says makes no sense.
    #[error("the git worker answered {what} while {doing}, and was ended\n  {SUSPICION}")]
    Nonsense {
        /// What it had been asked.
        doing: &'static str,
        /// What is wrong with the answer.
        what: String,
    },
    /// It handed over something else than what was named.
    #[error("what the git worker gave as {id} is not the object of that name\n  {SUSPICION}")]
    Forged {
        /// The name.
        id: String,
    },
    /// It wrote something else than the tree.
    #[error("what was written is not what the commit names: {}: {}; nothing of it is deployed\n  {SUSPICION}", .0.path, .0.how)]
    Differs(Differs),
    /// The mirror is damaged.
    #[error("{0}")]
    Broken(String),
    /// What was fetched is no commit, but something of this kind.
    #[error("it stands for a {0}, not for a commit")]
    NoCommit(String),
    /// The tree is refused.
    #[error("{0}")]
    Tree(String),
    /// The pack is refused.
    #[error("{0}")]
    Pack(String),
    /// It says why it cannot.
    #[error("{0}")]
    Failed(String),
    /// The remote's side of a fetch.
    #[error(transparent)]
    Remote(#[from] RemoteError),
}

/// What a lie may mean.
const SUSPICION: &str = "either the disk or the memory of this host is bad, or what the forge sent has taken the worker \
    over: it is contained, and nothing of what it did is used; look at who can push before the next poll tries again";

fn heard(said: &str) -> String {
    if said.is_empty() {
        String::new()
    } else {
        format!(" ({said})")
    }
}
