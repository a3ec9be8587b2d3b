//! The requests of a client and the replies of the restarter.
//!
//! The order of an enum's variants is part of the wire format: new variants are added at the end, and none
//! is moved.

use serde::{Deserialize, Serialize};

use crate::report::Report;

/// The one message that a client sends on a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// [`crate::VERSION`]; for any other version the restarter closes the connection without a reply.
    pub version: u8,
    /// What the client asks for.
    pub ask: Ask,
}

/// What a client may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// Do `verb` to `unit`, wait until systemd is done, and report.
    Act {
        /// What to do to the unit.
        verb: Verb,
        /// The unit's whole name. It is a plain string and not a [`crate::UnitName`], because the restarter
        /// judges it: a malformed name gets the same reply as a forbidden one.
        unit: String,
    },
    /// List every verb and unit that the caller is allowed.
    List,
}

/// What can be done to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// As `systemctl restart`: stop the unit and start it. A unit that is stopped is started. Units that it
    /// requires are started too; units that it conflicts with are stopped.
    Restart,
    /// As `systemctl reload`: ask the unit to read its configuration again.
    Reload,
    /// As `systemctl try-restart`: the same as a restart if the unit runs; a stopped unit is left stopped.
    TryRestart,
}

impl Verb {
    /// Every verb, in the order of the verbs' numbers on the wire.
    pub const ALL: [Self; 3] = [Self::Restart, Self::Reload, Self::TryRestart];

    /// Returns the verb's name as written in the policy, in logs and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Reload => "reload",
            Self::TryRestart => "try-restart",
        }
    }
}

/// One frame of the restarter's answer. The answer to [`Ask::Act`] is exactly one frame; the answer to
/// [`Ask::List`] is one [`Reply::Grant`] for each entry and then [`Reply::End`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Not allowed. The bytes are always the same, whether the unit is listed, unlisted or unknown.
    Denied,
    /// Not now. Nothing was done.
    Busy {
        /// Milliseconds after which the caller may send the same request again.
        retry_after_ms: u64,
    },
    /// The request was carried out, or at least tried, with this result.
    Finished(Report),
    /// One entry of the list.
    Grant(Grant),
    /// The end of the list.
    End,
}

/// One entry of the list that [`Ask::List`] asks for: one verb that the caller may do to one unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The unit's name.
    pub unit: String,
    /// What the caller may do to the unit.
    pub verb: Verb,
    /// The unit's limit: how many requests are accepted at once.
    pub burst: u32,
    /// The unit's limit: milliseconds after which one more request is accepted.
    pub every_ms: u64,
}
