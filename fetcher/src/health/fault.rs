//! The fault of an app, and whether the app or its setup has to be mended.

/// The cause of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The app: another revision of it may be well.
    App,
    /// The configuration or the host: no revision changes that.
    Setup,
}

/// A fault that one observation shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The fault, in one line.
    pub(super) what: String,
    /// The remedy, if one is known.
    pub(super) mend: Option<String>,
    /// A key that is equal if two releases have the same fault: without pids and times.
    pub(super) key: String,
    pub(super) cause: Cause,
    /// Whether the fault cannot pass by itself.
    pub(super) is_final: bool,
}

/// Why an app is not well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HealthFailure {
    /// The fault, and what to do.
    pub what: String,
    /// A key that is equal if two releases have the same fault.
    pub key: String,
    /// The cause of the fault.
    pub cause: Cause,
}

impl Fault {
    /// Makes a fault that may pass by itself.
    pub(super) fn passing(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            mend: None,
            key: key.into(),
            cause: Cause::App,
            is_final: false,
        }
    }

    /// Makes a fault that does not pass by itself.
    pub(super) fn last(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            is_final: true,
            ..Self::passing(key, what)
        }
    }

    /// Adds the remedy.
    pub(super) fn mend(self, mend: impl Into<String>) -> Self {
        Self {
            mend: Some(mend.into()),
            ..self
        }
    }

    /// Marks the fault as caused by the setup: no revision changes it.
    pub(super) fn of_the_setup(self) -> Self {
        Self {
            cause: Cause::Setup,
            ..self
        }
    }

    /// Makes the failure that is reported; `when` says at which time the fault was seen.
    pub(super) fn illness(&self, when: &str) -> HealthFailure {
        let mend = self.mend.iter().map(|mend| format!("\n  {mend}"));
        HealthFailure {
            what: format!("{}{when}{}", self.what, mend.collect::<String>()),
            key: self.key.clone(),
            cause: self.cause,
        }
    }
}
