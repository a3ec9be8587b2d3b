//! The steps of the pipeline, and what is written down of them.
//!
//! ```text
//!  Poll ─▶ Look ─▶ Fetch ─▶ Verify ─▶ Checkout ─▶ Shared ─▶ Build ─▶ Switch ─▶ Restart ─▶ Probe ─▶ good
//!                                        │           │         │        │         │         │
//!                                        └───────────┴─────────┴─ undone│         ▼         ▼
//!                                                                       └──▶ BackSwitch ─▶ BackRestart ─▶ BackProbe ─▶ back
//! ```
//!
//! Three of them are written into `state.json` before they begin, so that a pass that was cut short is gone
//! on with (the table of [`Step::resume`]): `Checkout`, from which on there is something to undo; `Switch`,
//! from which on the new release may serve; `BackSwitch`, from which on it must not.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A step of the pipeline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// One remote listing.
    Poll,
    /// What does not depend on the revision: units, policy, directories.
    Look,
    /// Objects into the mirror.
    Fetch,
    /// Is this revision acceptable?
    Verify,
    /// The release's files.
    #[default]
    Checkout,
    /// Links to what outlives releases.
    Shared,
    /// The build script.
    Build,
    /// `current`.
    Switch,
    /// The units.
    Restart,
    /// Is the app well?
    Probe,
    /// `current`, back again.
    BackSwitch,
    /// The units, in the previous release.
    BackRestart,
    /// Is the app well in that one?
    BackProbe,
}

/// How a pass goes on with an attempt that was cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resume {
    /// The release is removed; the next poll makes the attempt anew.
    Undo,
    /// The release is switched to, or has been, and brought up.
    BringUp,
    /// The previous release is brought back.
    GoBack,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 13] = [
        Self::Poll,
        Self::Look,
        Self::Fetch,
        Self::Verify,
        Self::Checkout,
        Self::Shared,
        Self::Build,
        Self::Switch,
        Self::Restart,
        Self::Probe,
        Self::BackSwitch,
        Self::BackRestart,
        Self::BackProbe,
    ];

    /// The name in the history and in every message.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Look => "look",
            Self::Fetch => "fetch",
            Self::Verify => "verify",
            Self::Checkout => "checkout",
            Self::Shared => "shared",
            Self::Build => "build",
            Self::Switch => "switch",
            Self::Restart => "restart",
            Self::Probe => "probe",
            Self::BackSwitch => "back-switch",
            Self::BackRestart => "back-restart",
            Self::BackProbe => "back-probe",
        }
    }

    /// Whether a failure in this step finds `current` switched.
    #[must_use]
    pub fn is_after_switch(self) -> bool {
        matches!(self, Self::Switch | Self::Restart | Self::Probe)
    }

    /// How an attempt is gone on with that was cut short when this was the last step that was written down.
    pub(super) fn resume(self) -> Resume {
        match self {
            Self::Poll | Self::Look | Self::Fetch | Self::Verify => Resume::Undo,
            Self::Checkout | Self::Shared | Self::Build => Resume::Undo,
            Self::Switch | Self::Restart | Self::Probe => Resume::BringUp,
            Self::BackSwitch | Self::BackRestart | Self::BackProbe => Resume::GoBack,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_written_by_the_name_that_people_see() {
        for step in Step::ALL {
            let written = serde_json::to_string(&step).unwrap();
            assert_eq!(written, format!("{:?}", step.as_str()));
            assert_eq!(serde_json::from_str::<Step>(&written).unwrap(), step);
        }
    }

    #[test]
    fn steps_are_resumed_as_the_picture_has_it() {
        let of = |resume| Step::ALL.into_iter().filter(move |s| s.resume() == resume);
        assert!(of(Resume::BringUp).eq(Step::ALL.into_iter().filter(|s| s.is_after_switch())));
        assert!(of(Resume::GoBack).all(|step| step.as_str().starts_with("back-")));
        assert_eq!(of(Resume::Undo).next_back(), Some(Step::Build));
    }
}
