//! What the monitor needs of the rest of the host: a service manager, and news of the policy.

use pp_protocol::{Report, UnitName, Verb};

/// A service manager that can act on units: systemd, or a fake in tests.
pub trait Manager: Send + Sync + 'static {
    /// Does `verb` to `unit`, once, and returns how the job ended and the unit's state.
    fn act(&self, verb: Verb, unit: &UnitName) -> impl Future<Output = Report> + Send;

    /// Returns whether the host is shutting down.
    fn is_shutting_down(&self) -> impl Future<Output = bool> + Send;
}

/// Notices that the policy has changed on disk since the service has read it.
pub trait Changes {
    /// Returns whether the policy has changed.
    fn are_there(&self) -> bool;

    /// Waits until the policy may have changed; [`Self::are_there`] tells whether it has.
    fn wait(&self) -> impl Future<Output = ()>;
}
