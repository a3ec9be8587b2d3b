//! The steps of the pipeline, and the three steps that are saved in `state.json`.
//!
//! ```text
//!  Poll ─▶ Look ─▶ Fetch ─▶ Verify ─▶ Checkout ─▶ Shared ─▶ Build ─▶ Switch ─▶ Restart ─▶ Probe ─▶ good
//!                                        │           │         │        │         │         │
//!                                        └───────────┴─────────┴─ undone│         ▼         ▼
//!                                                                       └──▶ BackSwitch ─▶ BackRestart ─▶ BackProbe ─▶ back
//! ```
//!
//! Three steps are written into `state.json` before they begin, so that an interrupted attempt can be continued
//! (the table of [`Step::resume`]): `Checkout`, from which on there are files to undo; `Switch`, from which on
//! the new release may be live; `BackSwitch`, from which on the new release must not be live.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A step of the pipeline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Lists the remote repository once.
    Poll,
    /// Checks what does not depend on the revision: units, policy, directories.
    Look,
    /// Fetches git objects into the mirror.
    Fetch,
    /// Checks whether the revision may be deployed.
    Verify,
    /// Writes the release's files.
    #[default]
    Checkout,
    /// Makes the links to the files that are shared by all releases.
    Shared,
    /// Runs the build script.
    Build,
    /// Points `current` to the new release.
    Switch,
    /// Restarts and reloads the units.
    Restart,
    /// Checks whether the app is well.
    Probe,
    /// Points `current` back to the previous release.
    BackSwitch,
    /// Restarts and reloads the units in the previous release.
    BackRestart,
    /// Checks whether the app is well in the previous release.
    BackProbe,
}

/// How a pass continues an interrupted attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resume {
    /// The release is removed; the same pass then polls, and makes the attempt anew.
    Undo,
    /// `current` is switched to the release, if that is not done yet, and the app is brought up.
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

    /// Gives the step's name in the history and in every message.
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

    /// Gives the step of this name; `None` if no step has the name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.as_str() == name)
    }

    /// Checks whether a failure of this step starts the way back: `current` may be switched already.
    #[must_use]
    pub fn is_after_switch(self) -> bool {
        matches!(self, Self::Switch | Self::Restart | Self::Probe)
    }

    /// Gives how an interrupted attempt is continued when this is the last step that was saved.
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
