//! Polls git, deploys what is new, and goes back when the app is not well.
//!
//! [`deploy::pipeline`] is the program; everything else is what it stands on:
//!
//! - [`cli`]: the commands. [`config`]: what they are told. [`pass`]: one pass with real drivers.
//! - [`repository`]: git as the pipeline's source. [`git`]: listing and fetching.
//!   [`verify`]: who signed a revision. [`checkout`]: its files, written safely.
//! - [`worker`]: asking the process in which foreign data is unpacked (`fetcher/worker`), and proving what
//!   that process says by the names of git's objects (`fetcher/objects`).
//! - [`release`]: directories and the link that is switched. [`space`]: room for them. [`process`]: other people's programs.
//! - [`health`]: whether the app is well. [`state`]: what is remembered. [`hooks`]: who is told.
//! - [`checks`]: whether the forge says that a commit is green.
//! - [`events`]: each change of an app's state, told once to the outbox.
//! - [`hostkey`]: host keys shown and pinned by hand. [`account`]: whose apps they are, and becoming that user.
//! - [`doctor`]: the condition of every link of an app's chain.
//! - [`http`]: one connection, for the probe and for git over https.
//! - [`sanitize`]: what of any text may reach a person. [`util`]: text, durations, patterns.
//! - [`adopt`]: from a checkout in place, deployed by a script from cron, to releases.
//! - [`setup`]: all that a new app needs on a host, made by root.
//! - [`report`]: how each app stands, for people and programs that watch.
//! - [`schedule`]: windows, and whether something new may be deployed now.
//! - [`service`]: every app at its interval. [`stop`]: what a signal leads to.
//!
//! What is public is the program itself, its command line for the man pages, and what other programs may read
//! of an app: where its releases are, and its state.

// What a person sees goes through `sanitize`, which leaves out what acts on a terminal.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

mod account;
mod adopt;
mod checkout;
mod checks;
mod cli;
mod config;
mod crash;
mod deploy;
mod doctor;
mod events;
mod git;
mod health;
mod hooks;
mod hostkey;
mod http;
mod mounts;
mod pass;
mod process;
mod release;
mod report;
mod repository;
mod revision;
mod sanitize;
mod schedule;
mod service;
mod setup;
mod space;
mod state;
mod stop;
mod util;
mod verify;
mod worker;

/// The suites that look into the crate, beside those that run the program.
#[cfg(test)]
#[path = "../tests/inside/mod.rs"]
mod inside;

use std::process::ExitCode;

pub use cli::command;
pub use crash::WITHIN_STEPS;
pub use deploy::Step;
pub use release::Layout;
pub use state::{
    AcceptedRewrite, Attempt, EndedAttempt, FailedPolls, History, IllBefore, Outcome, PassedOver,
    Pause, PhaseTime, Quarantine, Release, State, StateDir, StateError, Unchanged,
};

/// The program: what its command line says, or the supervisor of a script.
#[must_use]
pub fn main() -> ExitCode {
    // What cron, a shell or a service of root's had open is not for scripts of the apps' user, nor for ours.
    close_fds::set_fds_cloexec(3, &[]);
    if let Some(code) = process::script_supervisor::main() {
        return code;
    }
    #[cfg(feature = "failpoints")]
    let _from_the_environment = fail::FailScenario::setup();
    cli::main()
}
