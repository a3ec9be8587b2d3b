//! What pp-fetcher tells of its apps: one [`Event`] for each change of an app's state, in an [`Outbox`] on the disk.
//!
//! pp-fetcher writes and goes on: nothing in here uses a network or waits for a reader. pp-notify, another user, reads
//! and believes nothing: whoever is the apps' user can write any event.

mod event;
mod outbox;

pub use event::{Event, Kind, LONGEST_REASON, SCHEMA, host_name};
pub use outbox::{HOST, LARGEST, Outbox, ends_in_the_middle};
