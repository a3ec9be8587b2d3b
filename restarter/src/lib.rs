//! Restarts allowlisted systemd units for authenticated local callers.
//!
//! The service consists of two processes of one program. The [`front`] runs as an unprivileged user of its
//! own: it accepts connections, authenticates callers, decodes requests, decides on them and answers. The
//! [`monitor`] is root without capabilities: it reads fixed-size orders from a socket [`pair`], enforces the
//! limits and talks to systemd. A client's bytes never reach the monitor.
//!
//! - [`policy`]: who may do what to which unit, and the files that say so.
//! - [`sandbox`]: the rights that each process gives up before it serves anybody.
//! - [`daemon`]: how both processes are started.
//! - [`audit`]: the records in the journal.
//! - `cli`: the client, `pp-restart` (feature `client`).

pub mod audit;
#[cfg(feature = "client")]
pub mod cli;
pub mod daemon;
pub mod front;
pub mod monitor;
pub mod pair;
pub mod policy;
pub mod sandbox;
