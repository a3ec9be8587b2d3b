//! Running other people's programs: build scripts, hooks, OpenSSH.
//!
//! - [`ask`]: one question to a program of OpenSSH, and its answer.
//! - [`environment`]: what they find in their environment, and what they do not.
//! - `latest`: the latest line of its output, for who watches.
//! - [`script_supervisor`]: the process in between, which leaves nothing of a script behind.
//! - [`script`]: one run, in a process group of its own, with a deadline and a bounded log.

pub mod ask;
pub mod environment;
mod latest;
pub mod script;
pub mod script_supervisor;

pub use script::{Ended, RunError, Script};
