//! Polls git, deploys what is new, and goes back when the app is not well.
//!
//! [`deploy::pipeline`] is the program; everything else is what it stands on:
//!
//! - [`config`]: what it is told.
//! - [`release`]: directories and the link that is switched. [`process`]: other people's programs.
//! - [`health`]: whether the app is well. [`state`]: what is remembered.

pub mod config;
pub mod deploy;
pub mod health;
pub mod process;
pub mod release;
pub mod revision;
pub mod state;
