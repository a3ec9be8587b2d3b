//! Judges whether an app is well.
//!
//! - [`url`]: the health URL. [`answer`]: the result of a request to it.
//! - [`watch`]: the judgement over time, a pure state machine. `judge`: finds the fault in one
//!   observation. [`fault`]: a fault and its cause. [`hint`]: the likely cause of an unexpected status.
//! - [`mod@unit`]: the observed state of a unit, and the check of its settings before anything is restarted.
//! - [`host`]: the trait that observes units, processes and a health URL, and its real driver.
//! - [`http`], [`units`], [`holder`]: the parts of that driver that do HTTP, D-Bus and `/proc`.
//! - [`probe`]: observes an app until the judgement is reached.

pub(crate) mod answer;
pub(crate) mod fault;
pub(crate) mod hint;
pub(crate) mod holder;
pub(crate) mod host;
pub(crate) mod http;
pub(crate) mod judge;
pub(crate) mod probe;
pub(crate) mod unit;
pub(crate) mod units;
pub(crate) mod url;
pub(crate) mod watch;

pub(crate) use fault::{Cause, HealthFailure};
pub(crate) use host::{Host, SystemHost};
pub(crate) use url::HealthUrl;
