//! What is spoken over `/run/pp-restarter/restarter.sock`.
//!
//! A client connects, sends **one** request frame and reads reply frames until the restarter
//! closes the connection. `PROTOCOL.md` beside this crate describes every byte, so that a client
//! can be written in another language without reading Rust.
//!
//! - [`message`]: what may be asked and what is answered.
//! - [`report`]: what the restarter saw of a unit.
//! - [`mod@explain`]: the same in words for a person.
//! - [`mod@unit`]: the name of a unit, checked once.
//! - [`codec`]: frames and bytes; the only file that knows of bincode.
//! - [`client`]: a blocking client that checks who the server is before it speaks.

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

/// Where the restarter listens. `pp-restarter.socket` creates it, owned `root:hosted_apps`, 0660.
pub const SOCKET: &str = "/run/pp-restarter/restarter.sock";
