//! What may be asked of the restarter, and what it answers.
//!
//! The order of the variants is the wire format: new ones are added at the end, none is moved.

use serde::{Deserialize, Serialize};

use crate::report::Report;

/// The one message a client sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// [`crate::VERSION`]; anything else is closed without an answer.
    pub version: u8,
    /// What is asked.
    pub ask: Ask,
}

/// What a client may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// Do `verb` to `unit`, wait for it and report.
    Act {
        /// What to do.
        verb: Verb,
        /// The unit's whole name. A plain string here: the restarter judges it, and a malformed
        /// name gets the same reply as a forbidden one.
        unit: String,
    },
    /// Which units may I act on?
    List,
}

/// What can be done to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// As `systemctl restart`: stop it and start it. A unit that is stopped is started, and so is what it
    /// requires; what it conflicts with is stopped.
    Restart,
    /// As `systemctl reload`: ask it to read its configuration again.
    Reload,
    /// As `systemctl try-restart`: the same as a restart where the unit runs; one that is stopped is left so.
    TryRestart,
}

impl Verb {
    /// Every verb, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Restart, Self::Reload, Self::TryRestart];

    /// The word used in the policy, in logs and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Reload => "reload",
            Self::TryRestart => "try-restart",
        }
    }
}

/// One frame of the answer. A request to act gets exactly one; a list gets one [`Reply::Grant`]
/// for each entry and then [`Reply::End`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Not allowed. Always these same bytes, whether the unit is listed, unlisted or unknown.
    Denied,
    /// Allowed, but not now.
    Busy {
        /// Milliseconds after which the same request would be taken.
        retry_after_ms: u64,
    },
    /// It was done, or tried; this is what came of it.
    Finished(Report),
    /// One thing the caller may do.
    Grant(Grant),
    /// Nothing follows.
    End,
}

/// One thing the caller may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The unit's name.
    pub unit: String,
    /// What may be done to it.
    pub verb: Verb,
    /// How many requests are taken at once before the limit is felt.
    pub burst: u32,
    /// Milliseconds after which one more is taken.
    pub every_ms: u64,
}
