//! What is remembered of one app between two polls: `/var/lib/pp-fetcher/APP/`.
//!
//! - [`record`]: the types, and what they mean. [`outcome`]: how an attempt ends.
//! - [`store`]: reading and writing them, whole or not at all.
//! - [`history`]: every attempt, one JSON line each.
//! - [`lock`]: one process at a time. [`under_way`]: what it is doing now, for those who ask.

pub mod history;
pub mod lock;
mod modes;
pub mod open;
pub mod outcome;
pub mod record;
pub mod store;
pub mod under_way;

pub use history::{Attempt, History};
pub use lock::{Lock, Locked};
pub use outcome::Outcome;
pub use record::{
    AcceptedRewrite, IllBefore, Kept, PassedOver, Pause, Quarantine, State, Trouble, Trying,
};
pub use store::{StateDir, StateError};
pub use under_way::UnderWay;
