//! What is told of all apps: how each stands, for people and for programs that watch.
//!
//! - [`standing`]: how one app stands. [`why`]: why it does; `fate`: why one commit was deployed, or
//!   not.
//! - [`passes`]: the note of an app's last pass. [`disk`]: the room that releases take.
//! - [`metrics`], [`page`]: the files that [`write`](mod@write) replaces after a pass.

pub(crate) mod disk;
mod fate;
mod metrics;
mod page;
pub(crate) mod passes;
pub(crate) mod standing;
pub(crate) mod why;
pub(crate) mod write;

use std::time::Duration;

use passes::PassNote;
use standing::Status;

/// What is told of one app.
pub(crate) struct App {
    status: Status,
    note: Option<PassNote>,
    /// The time between two polls of the service.
    interval: Duration,
    /// How many releases are on the disk.
    releases: usize,
}
