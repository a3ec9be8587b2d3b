//! Git objects, proven by their names, in safe Rust: what `pp-fetcher` and its git worker share.
//!
//! The process that unpacks foreign data (`pp-git-worker`) is not believed. What that process hands
//! over is hashed by the parent and taken only if it is what its name says:
//!
//! ```text
//!  the forge's listing ──▶ id of the tag ──▶ tag ──▶ id of the commit ──▶ commit ─┬▶ signature, author
//!                          (ssh's word)     (bytes)                       (bytes) ├▶ parents ──▶ … ──▶ the live commit
//!                                                                                 └▶ id of the tree ──▶ trees ──▶ files on disk
//! ```
//!
//! - [`id`]: the name of an object, and hashing content to find it.
//! - [`commit`]: commits and tags read. [`tree`]: trees read.
//! - [`protocol`]: the messages between the parent and the worker.

pub mod commit;
pub mod id;
pub mod protocol;
pub mod tree;

pub use id::{Hasher, Kind, ObjectId};
