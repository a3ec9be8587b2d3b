//! What is remembered of one app between two polls: `/var/lib/pp-fetcher/APP/`.
//!
//! - [`record`]: the types, and what they mean. [`outcome`]: how an attempt ends.
//! - [`store`]: reading and writing them, whole or not at all.
//! - [`attempt`]: the one record of an attempt. [`history`]: every attempt, one JSON line each.
//! - [`lock`]: one process at a time. [`under_way`]: what it is doing now, for those who ask.

pub(crate) mod attempt;
pub(crate) mod history;
pub(crate) mod lock;
mod modes;
pub(crate) mod open;
pub(crate) mod outcome;
pub(crate) mod record;
pub(crate) mod store;
pub(crate) mod under_way;

pub use attempt::{Attempt, EndedAttempt, IllBefore, PhaseTime};
pub use history::History;
pub(crate) use lock::Locked;
pub use outcome::Outcome;
pub use record::{AcceptedRewrite, PassedOver, Pause, Quarantine, Release, State, Trouble};
pub use store::{StateDir, StateError};
pub(crate) use under_way::UnderWay;
