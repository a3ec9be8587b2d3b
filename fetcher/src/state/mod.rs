//! The state of one app, stored between two polls in `/var/lib/pp-fetcher/APP/`.
//!
//! - [`record`]: the types of `state.json`, and what they mean. [`outcome`]: how an attempt ends.
//! - [`store`]: reading and writing `state.json`, whole or not at all.
//! - `told`: what the outbox has been told of the app.
//! - [`attempt`]: the record of one attempt. [`history`]: every attempt, one JSON line each.
//! - [`freeze`]: freezes of one app or of all.
//! - [`lock`]: one process at a time for each app. [`under_way`]: what the running pass does now, for
//!   `status`.

pub(crate) mod attempt;
pub(crate) mod freeze;
pub(crate) mod history;
pub(crate) mod lock;
mod modes;
pub(crate) mod open;
pub(crate) mod outcome;
pub(crate) mod record;
pub(crate) mod store;
mod told;
pub(crate) mod under_way;

pub use attempt::{Attempt, EndedAttempt, IllBefore, PhaseTime};
pub(crate) use freeze::{Freeze, FreezeFile};
pub use history::History;
pub(crate) use lock::LockAttempt;
pub use outcome::Outcome;
pub(crate) use record::Asked;
pub use record::{
    AcceptedRewrite, FailedPolls, PassedOver, Pause, Quarantine, Release, State, Unchanged,
};
pub use store::{StateDir, StateError};
pub(crate) use told::{Problem, Told};
pub(crate) use under_way::UnderWay;
