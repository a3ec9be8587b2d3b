//! The process in which foreign data meets C: libgit2 runs in here and nowhere else.
//!
//! ```text
//!                    pp-fetcher (safe Rust)                             pp-fetcher git-worker (libgit2)
//!  forge ◀──ssh──▶ listing, wire protocol ──── pack, requests ────▶ stdin   index, hash, complete ──▶ mirror
//!                  keys, configuration, state                               read commits and trees
//!                  signatures, hashes   ◀───── answers, objects ─── stdout  write files ────────────▶ release
//! ```
//!
//! One worker for a fetch and what is asked about it, one for each checkout; none for a poll that finds
//! nothing new. Each is this program again, contained before it opens anything, and gone when its
//! pipe is closed, when its deadline has passed, or when we die.
//!
//! Nothing that it says is believed: an object is hashed here, a release is read back and compared
//! with the tree that the commit names ([`crate::proof`]), text is cleaned, lengths are bounded. What
//! a break-in gets is tried from inside by `tests/contained.rs` and listed in `CONTAINMENT.md`.
//!
//! - [`sandbox`]: what a worker gives up. [`serve`]: what it does. [`protocol`]: what is said.
//! - [`child`]: its process as we hold it. [`client`]: what we ask, and what we take for an answer.
//! - [`error`]: why nothing came of it.

pub mod child;
pub mod client;
pub mod error;
pub mod protocol;
pub mod sandbox;
#[cfg(feature = "selftest")]
#[allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "for tests, which read it"
)]
pub mod selftest;
pub mod serve;

pub use client::Client;
pub use error::WorkerError;

/// The word that makes this program a worker, as its first argument. Not for people.
pub const WORD: &str = "git-worker";

/// This very program, whatever has become of its file since it was started.
pub const OURSELVES: &str = "/proc/self/exe";
