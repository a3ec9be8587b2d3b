//! The code of a failure: a word for programs, which stays the same while the sentence for people may change.

use super::step::Step;

/// Why something failed, as a word. The words are a contract: in events, metrics, the history and `why --json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// The forge cannot be reached, or does not answer in time.
    Network,
    /// The forge shows another host key than the pinned one.
    HostKeyChanged,
    /// No host key is pinned for the forge.
    HostKeyUnknown,
    /// The forge refuses the key or the token.
    AccessDenied,
    /// The forge has no such repository, or does not show it.
    NoRepository,
    /// The repository has no such branch, tag or ref.
    NothingToFollow,
    /// The forge answers with an error, or not in git's protocol.
    Forge,
    /// The listing failed on this host.
    Poll,
    /// Something on this host or in the app's file would make every deploy fail.
    Host,
    /// The revision could not be fetched.
    Fetch,
    /// The revision does not follow the live one.
    History,
    /// No allowed signer has signed the revision.
    Signature,
    /// Checks of the revision at the forge have failed, or do not end.
    Checks,
    /// The revision could not be verified.
    Verify,
    /// The revision's files are not accepted.
    Tree,
    /// The revision could not be checked out.
    Checkout,
    /// The shared paths could not be linked.
    Shared,
    /// The build script failed.
    Build,
    /// `current` could not be switched.
    Switch,
    /// A unit could not be restarted, or did not come up.
    Restart,
    /// The app is not well.
    Unhealthy,
    /// A freeze began while the revision was made ready.
    Frozen,
    /// The window closed while the revision was made ready.
    Window,
    /// pp-fetcher was told to stop.
    Stopped,
}

impl Code {
    /// The code of a failure of which no more is known than its step.
    #[must_use]
    pub(crate) fn of(step: Step) -> Self {
        match step {
            Step::Poll => Self::Poll,
            Step::Look => Self::Host,
            Step::Fetch => Self::Fetch,
            Step::Verify => Self::Verify,
            Step::Checkout => Self::Checkout,
            Step::Shared => Self::Shared,
            Step::Build => Self::Build,
            Step::Switch | Step::BackSwitch => Self::Switch,
            Step::Restart | Step::BackRestart => Self::Restart,
            Step::Probe | Step::BackProbe => Self::Unhealthy,
        }
    }

    /// Whether it says nothing about the revision or its environment: the time was over, and the attempt is made again.
    #[must_use]
    pub(crate) fn is_of_the_time(word: &str) -> bool {
        let times = [Self::Frozen, Self::Window, Self::Stopped];
        times.iter().any(|code| code.as_str() == word)
    }

    /// The word.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::HostKeyChanged => "host-key-changed",
            Self::HostKeyUnknown => "host-key-unknown",
            Self::AccessDenied => "access-denied",
            Self::NoRepository => "no-repository",
            Self::NothingToFollow => "nothing-to-follow",
            Self::Forge => "forge",
            Self::Poll => "poll",
            Self::Host => "host",
            Self::Fetch => "fetch",
            Self::History => "history",
            Self::Signature => "signature",
            Self::Checks => "checks",
            Self::Verify => "verify",
            Self::Tree => "tree",
            Self::Checkout => "checkout",
            Self::Shared => "shared",
            Self::Build => "build",
            Self::Switch => "switch",
            Self::Restart => "restart",
            Self::Unhealthy => "unhealthy",
            Self::Frozen => "frozen",
            Self::Window => "window",
            Self::Stopped => "stopped",
        }
    }
}
