//! Whether an app is well.
//!
//! - [`url`]: what is asked. [`answer`]: what came of it.
//! - [`watch`]: the judgement over time, a pure state machine. `judge`: what is wrong in one
//!   observation. [`fault`]: what that is, and who can mend it. [`hint`]: what an answer often means.
//! - [`mod@unit`]: what is seen of a unit, and what its settings must be before anything is restarted.
//! - [`host`]: how units, processes and a health URL are looked at; the trait and the real one.
//! - [`http`], [`units`], [`holder`]: its edges.
//! - [`probe`]: looks until the judgement is there.

pub mod answer;
pub mod fault;
pub mod hint;
pub mod holder;
pub mod host;
pub mod http;
pub mod judge;
pub mod probe;
pub mod unit;
pub mod units;
pub mod url;
pub mod watch;

pub use answer::Answer;
pub use fault::{Cause, Illness};
pub use host::{Host, SystemHost};
pub use url::HealthUrl;
