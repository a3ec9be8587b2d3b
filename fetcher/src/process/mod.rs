//! Running other people's programs: build scripts, hooks, OpenSSH, git, and our own git worker.
//!
//! - [`child`]: a process group with a deadline, a byte budget, and an end when pp-fetcher is to stop.
//!   [`start`], [`ending`]: how one begins and ends.
//! - [`tied`]: programs of OpenSSH and git. [`ask`]: one question to such a program, and its answer.
//! - [`script`]: one run of a script, with a bounded log. `latest`: the latest line of its output.
//! - [`environment`]: what scripts find in their environment, and what they do not.
//! - [`script_supervisor`]: the process in between, which leaves nothing of a script behind.

pub(crate) mod ask;
pub(crate) mod child;
pub(crate) mod ending;
pub(crate) mod environment;
mod latest;
pub(crate) mod script;
pub(crate) mod script_supervisor;
pub(crate) mod start;
pub(crate) mod tied;

pub(crate) use script::{RunError, Script, ScriptEnd};
