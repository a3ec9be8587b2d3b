//! Runs child processes: build scripts, hooks, OpenSSH, git, and pp-git-worker.
//!
//! - [`child`]: a process group with a deadline, a byte budget, and an end when pp-fetcher is to stop.
//!   [`streams`]: its standard input, output and error. [`start`], [`ending`]: how a process begins and ends.
//! - [`tied`]: programs of OpenSSH and git. [`ask`]: one run of such a program, with its input and output.
//! - [`script`]: one run of a script, with a bounded log. `latest`: the latest line of its output.
//! - [`environment`]: the environment variables of scripts.
//! - [`script_supervisor`]: the process between pp-fetcher and a script, which ends every process of the script.

pub(crate) mod ask;
pub(crate) mod child;
pub(crate) mod ending;
pub(crate) mod env_file;
pub(crate) mod environment;
mod latest;
pub(crate) mod script;
pub(crate) mod script_supervisor;
pub(crate) mod start;
pub(crate) mod streams;
pub(crate) mod tied;

pub(crate) use script::{RunError, Script, ScriptEnd};
