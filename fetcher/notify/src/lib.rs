//! Tells people, forges and monitors what pp-fetcher has done.
//!
//! pp-notify is another user than the apps, started when the outbox of `pp-fetcher` grows and once a minute, and gone
//! again. It believes nothing of an event: whoever is the apps' user can write any.
//!
//! - [`config`]: the targets. [`secret`]: the files with their tokens.
//! - [`rules`]: which event a target is told, and when: pure.
//! - [`message`]: the words. [`clean`]: what of an event may be in them.
//! - [`targets`]: each kind of target, from a message to what goes over the network.
//! - [`delivery`]: one delivery: tried, tried again later, or given up.
//! - [`store`]: what is remembered, so that nothing is lost and nothing told twice. [`journal`]: what became of each.
//! - [`passes`]: which apps were polled lately, for heartbeats.
//! - [`run`]: one run. [`cli`]: the commands.

mod clean;
mod cli;
mod config;
mod delivery;
mod journal;
mod message;
mod passes;
mod rules;
mod run;
mod secret;
mod store;
mod targets;

pub use cli::{command, main};

/// The directory of the configuration.
pub(crate) const CONFIG: &str = "/etc/pp-notify";

/// The directory of what is remembered.
pub(crate) const STATE: &str = "/var/lib/pp-notify";

/// Where pp-fetcher notes that a pass has ended.
pub(crate) const PASSES: &str = "/run/pp-passes";
