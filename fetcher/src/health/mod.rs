//! Whether an app is well.
//!
//! - [`url`]: what is asked.
//! - [`watch`]: the judgement, a pure state machine over observations.
//! - [`host`]: how a unit, a process and a health URL are looked at; the trait and the real one.
//! - [`http`], [`units`]: its two edges.
//! - [`probe`]: looks until the judgement is there.

pub mod host;
pub mod http;
pub mod probe;
pub mod units;
pub mod url;
pub mod watch;

pub use host::{Host, SystemHost};
pub use url::HealthUrl;
