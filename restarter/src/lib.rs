//! Restarts allowlisted systemd units for authenticated local callers.
//!
//! One service, two processes of one program. The [`front`] runs as a user of its own: it accepts,
//! authenticates, decodes, decides and answers. The [`monitor`] is root without capabilities: it reads
//! fixed-size orders from a socket [`pair`], holds the limits and talks to systemd. A client's bytes never
//! reach it.
//!
//! - [`policy`]: who may do what; pure, and the files it comes from.
//! - [`sandbox`]: what each process gives up before it serves anybody.
//! - [`daemon`]: how the two are started.
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
