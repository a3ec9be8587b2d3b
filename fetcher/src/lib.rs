//! Polls git, deploys what is new, and goes back when the app is not well.
//!
//! [`deploy::pipeline`] is the program; everything else is what it stands on:
//!
//! - [`cli`]: the commands. [`config`]: what they are told. [`pass`]: one pass with real drivers.
//! - [`repository`]: git as the pipeline's source. [`git`]: listing, fetching, the mirror.
//!   [`checkout`]: a revision's files, written safely.
//! - [`release`]: directories and the link that is switched. [`process`]: other people's programs.
//! - [`health`]: whether the app is well. [`state`]: what is remembered. [`hooks`]: who is told.
//! - [`service`]: every app at its interval. [`stop`]: what a signal leads to.

pub mod checkout;
pub mod cli;
pub mod config;
pub mod deploy;
pub mod git;
pub mod health;
pub mod hooks;
pub mod pass;
pub mod process;
pub mod release;
pub mod repository;
pub mod revision;
pub mod service;
pub mod state;
pub mod stop;
