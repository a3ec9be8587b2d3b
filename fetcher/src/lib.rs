//! Polls git, deploys what is new, and goes back when the app is not well.
//!
//! [`deploy::pipeline`] is the program; everything else is what it stands on:
//!
//! - [`config`]: what it is told.
//! - [`git`]: listing, fetching, the mirror. [`checkout`]: a revision's files, written safely.
//! - [`release`]: directories and the link that is switched. [`process`]: other people's programs.
//! - [`health`]: whether the app is well. [`state`]: what is remembered.

pub mod checkout;
pub mod config;
pub mod deploy;
pub mod git;
pub mod health;
pub mod process;
pub mod release;
pub mod revision;
pub mod state;
