//! What is wrong with an app, and who can mend it.

/// Who can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The app: another revision of it may be well.
    App,
    /// The configuration or the host: no revision changes that.
    Setup,
}

/// What one observation shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// What is wrong, in one line.
    pub(super) what: String,
    /// What to do about it, if something can be said.
    pub(super) mend: Option<String>,
    /// The same for the same fault of two releases: without pids and times.
    pub(super) key: String,
    pub(super) cause: Cause,
    /// It cannot come right by itself.
    pub(super) is_final: bool,
}

/// Why an app is not well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HealthFailure {
    /// What is wrong, and what to do.
    pub what: String,
    /// The same for the same fault of two releases.
    pub key: String,
    /// Who can mend it.
    pub cause: Cause,
}

impl Fault {
    /// One that may pass by itself.
    pub(super) fn passing(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            mend: None,
            key: key.into(),
            cause: Cause::App,
            is_final: false,
        }
    }

    /// One that does not pass.
    pub(super) fn last(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            is_final: true,
            ..Self::passing(key, what)
        }
    }

    /// With what to do about it.
    pub(super) fn mend(self, mend: impl Into<String>) -> Self {
        Self {
            mend: Some(mend.into()),
            ..self
        }
    }

    /// One that no revision changes.
    pub(super) fn of_the_setup(self) -> Self {
        Self {
            cause: Cause::Setup,
            ..self
        }
    }

    /// As it is told, with `when` it was seen.
    pub(super) fn illness(&self, when: &str) -> HealthFailure {
        let mend = self.mend.iter().map(|mend| format!("\n  {mend}"));
        HealthFailure {
            what: format!("{}{when}{}", self.what, mend.collect::<String>()),
            key: self.key.clone(),
            cause: self.cause,
        }
    }
}
