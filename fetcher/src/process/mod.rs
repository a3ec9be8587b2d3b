//! Running other people's programs: build scripts and hooks.
//!
//! - [`environment`]: what they find in their environment, and what they do not.
//! - [`script`]: one run, in a process group of its own, with a deadline and a bounded log.

pub mod environment;
pub mod script;

pub use script::{Ended, Script};
