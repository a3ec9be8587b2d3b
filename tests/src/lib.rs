//! A booted Debian host in a directory, and the suites that run on it.
//!
//! - [`lab`]: boots the host, runs commands and writes files in it, speaks HTTP to it.
//! - [`host`]: such a host with both packages installed and a git server in it.
//! - [`forge`]: that git server: an sshd, a read-only deploy key, bare repositories.
//! - [`app`]: web apps set up on it as an administrator would: unit, policy, configuration.
//! - [`load`]: requests all the time, and what became of each.
//! - [`old_way`]: the makeshift that the project replaces, to compare with.
//! - [`doc_blocks`], [`doc_host`]: what the pages of `docs/` have a reader do, and the hosts on which they are followed.
//! - [`wait`]: waiting for something with a deadline.
//! - [`watch`]: when a new version is served for the first time.
//! - [`harness`]: runs a suite on one host, and says so when it cannot.

pub mod app;
pub mod doc_blocks;
pub mod doc_host;
pub mod forge;
pub mod harness;
pub mod host;
pub mod lab;
pub mod load;
pub mod old_way;
pub mod wait;
pub mod watch;
