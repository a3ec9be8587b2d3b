//! The event: one JSON object, whose names and words are a contract. New fields may come; none goes or changes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Version of the format of an event.
pub const SCHEMA: u32 = 1;

/// The most bytes of a reason in an event; the whole reason is in the app's history.
pub const LONGEST_REASON: usize = 1500;

/// A change of an app's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The version of the format: [`SCHEMA`].
    pub schema: u32,
    /// A name that no other event of this host has; the same if an event is written a second time after a crash.
    pub id: String,
    /// When the change was seen.
    pub at: Timestamp,
    /// The name of the host.
    pub host: String,
    /// The app; absent for what concerns all apps of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// What has changed.
    pub event: Kind,
    /// Why, as a word for programs, such as `build` or `network`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The revision that the event is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The revision that was live before the attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// The revision that serves now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
    /// The author of the revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The first line of the revision's message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The number of the attempt, as `pp-fetcher history` shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u64>,
    /// How long the attempt took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// The command by which a person asked for it, such as `rollback`; absent for what pp-fetcher does by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, in words for people: perhaps several lines, at most [`LONGEST_REASON`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When what the event tells of ends by itself, as a pause does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Gives the name of this host, as events have it; empty if the kernel does not tell.
#[must_use]
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// What has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A revision is live and well.
    Deployed,
    /// An attempt has failed before the switch, or polls fail for another reason than the network; what was live is.
    Failed,
    /// A release was not well, and the one before it serves again.
    TakenBack,
    /// The app is not well, and there is no way back.
    Stuck,
    /// What had failed is over: a revision is live and well, or polls succeed.
    Recovered,
    /// A new revision waits: for a window, for the end of a freeze, for its checks.
    Held,
    /// A person has paused the app.
    Paused,
    /// The pause has ended.
    Resumed,
    /// A person has frozen the app, or all apps.
    Frozen,
    /// The freeze has ended.
    Thawed,
    /// The forge shows another host key than the pinned one.
    HostKeyChanged,
    /// The forge could not be reached for three polls in a row.
    Unreachable,
    /// The forge is reached again.
    Reachable,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Deployed,
        Self::Failed,
        Self::TakenBack,
        Self::Stuck,
        Self::Recovered,
        Self::Held,
        Self::Paused,
        Self::Resumed,
        Self::Frozen,
        Self::Thawed,
        Self::HostKeyChanged,
        Self::Unreachable,
        Self::Reachable,
    ];

    /// The word for the kind, as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployed => "deployed",
            Self::Failed => "failed",
            Self::TakenBack => "taken-back",
            Self::Stuck => "stuck",
            Self::Recovered => "recovered",
            Self::Held => "held",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Frozen => "frozen",
            Self::Thawed => "thawed",
            Self::HostKeyChanged => "host-key-changed",
            Self::Unreachable => "unreachable",
            Self::Reachable => "reachable",
        }
    }

    /// Whether a person has to look.
    #[must_use]
    pub fn is_bad(self) -> bool {
        matches!(
            self,
            Self::Failed | Self::TakenBack | Self::Stuck | Self::HostKeyChanged | Self::Unreachable
        )
    }

    /// Whether it ends what was bad.
    #[must_use]
    pub fn is_recovery(self) -> bool {
        matches!(self, Self::Deployed | Self::Recovered | Self::Reachable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_written_by_its_word() {
        for kind in Kind::ALL {
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("{:?}", kind.as_str()));
        }
    }

    #[test]
    fn an_event_with_what_this_version_does_not_know_is_read() {
        let json = r#"{"schema":1,"id":"todo-1","at":"2026-11-27T12:00:00Z","host":"web1","app":"todo","event":"failed",
            "code":"build","later":{"x":1}}"#;
        let event: Event = serde_json::from_str(json).unwrap();
        assert_eq!(
            (event.event, event.code.as_deref()),
            (Kind::Failed, Some("build"))
        );
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(
            json,
            r#"{"schema":1,"id":"todo-1","at":"2026-11-27T12:00:00Z","host":"web1","app":"todo","event":"failed","code":"build"}"#
        );
    }
}
