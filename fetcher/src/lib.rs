//! Polls git, deploys what is new, and goes back when the app is not well.

pub mod checkout;
pub mod git;
