//! Whether an app is well.
//!
//! - [`url`]: what is asked. [`answer`]: what came of it.
//! - [`watch`]: the judgement over time, a pure state machine. `judge`: what is wrong in one
//!   observation. [`fault`]: what that is, and who can mend it. [`hint`]: what an answer often means.
//! - [`mod@unit`]: what is seen of a unit, and what its settings must be before anything is restarted.
//! - [`host`]: how units, processes and a health URL are looked at; the trait and the real one.
//! - [`http`], [`units`], [`holder`]: its edges.
//! - [`probe`]: looks until the judgement is there.

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
