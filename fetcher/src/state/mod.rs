//! What is remembered of one app between two polls: `/var/lib/pp-fetcher/APP/`.
//!
//! - [`record`]: the types, and what they mean.
//! - [`store`]: reading and writing them, whole or not at all.
//! - [`history`]: every attempt, one JSON line each.
//! - [`lock`]: one process at a time.

pub mod history;
pub mod lock;
pub mod record;
pub mod store;

pub use history::{Attempt, History};
pub use lock::{Lock, Locked};
pub use record::{Kept, Outcome, Pause, Quarantine, State, Trouble, Trying};
pub use store::{StateDir, StateError};
