//! The protocol of `/run/pp-restarter/restarter.sock`, the socket of the restarter: a daemon that restarts
//! allowlisted systemd units for local callers.
//!
//! A client connects, sends **one** request frame and reads reply frames until the restarter
//! closes the connection. `PROTOCOL.md` beside this crate describes every byte, so that a client
//! can be written in another language without reading Rust.
//!
//! - [`message`]: the requests of a client and the replies of the restarter.
//! - [`report`]: how systemd's job ended and what state the unit is in.
//! - [`mod@explain`]: a report in words for a person.
//! - [`mod@unit`]: the name of a unit, checked once.
//! - [`codec`]: frames and bytes; the only file that uses bincode.
//! - [`client`]: a blocking client that checks who the server is before it sends anything.

pub mod client;
pub mod codec;
pub mod explain;
pub mod message;
pub mod report;
pub mod unit;

pub use client::{Answer, Client, ClientError};
pub use explain::{Explanation, explain};
pub use message::{Ask, Grant, Reply, Request, Verb};
pub use report::{ActiveState, JobResult, Outcome, Refusal, Report};
pub use unit::{UnitName, UnitNameError};

/// Version of the protocol that this crate speaks; the first byte of every payload.
pub const VERSION: u8 = 1;

/// The socket on which the restarter listens. The unit `pp-restarter.socket` creates it, owned by
/// `root:hosted_apps`, mode 0660.
pub const SOCKET: &str = "/run/pp-restarter/restarter.sock";
