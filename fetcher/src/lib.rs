//! Polls git, deploys what is new, and goes back when the app is not well.
//!
//! [`deploy::pipeline`] is the program; everything else is what it stands on:
//!
//! - [`cli`]: the commands. [`config`]: what they are told. [`pass`]: one pass with real drivers.
//! - [`repository`]: git as the pipeline's source. [`git`]: listing, fetching, the mirror.
//!   [`verify`]: who signed a revision. [`checkout`]: its files, written safely.
//! - [`worker`]: the process in which foreign data is unpacked, and what it may touch. [`proof`]: what
//!   it says, proven by the names of git's objects.
//! - [`release`]: directories and the link that is switched. [`space`]: room for them. [`process`]: other people's programs.
//! - [`health`]: whether the app is well. [`state`]: what is remembered. [`hooks`]: who is told.
//! - [`hostkey`]: host keys shown and pinned by hand. [`account`]: whose apps they are, and becoming that user.
//! - [`shown`]: what of any text may reach a person.
//! - [`service`]: every app at its interval. [`stop`]: what a signal leads to.

// What a person sees goes through `shown`, which leaves out what acts on a terminal.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod account;
pub mod checkout;
pub mod cli;
pub mod config;
mod crash;
pub mod deploy;
pub mod git;
pub mod health;
pub mod hooks;
pub mod hostkey;
mod mounts;
pub mod pass;
pub mod process;
pub mod proof;
pub mod release;
pub mod repository;
pub mod revision;
pub mod service;
pub mod shown;
pub mod space;
pub mod state;
pub mod stop;
pub mod verify;
pub mod worker;
