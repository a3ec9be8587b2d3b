//! Git objects, proven by their ids, in safe Rust: the crate that `pp-fetcher` and the git worker share.
//!
//! The process that unpacks data from outside (`pp-git-worker`, the worker) is not trusted. Each object that it hands
//! over is hashed by its parent, `pp-fetcher`, and taken only if the hash is the object's id:
//!
//! ```text
//!  the forge's listing ──▶ id of the tag ──▶ tag ──▶ id of the commit ──▶ commit ─┬▶ signature, author
//!                          (ssh's word)     (bytes)                       (bytes) ├▶ parents ──▶ … ──▶ the live commit
//!                                                                                 └▶ id of the tree ──▶ trees ──▶ files on disk
//! ```
//!
//! - [`id`]: the id of an object, and the hash of content to compute it.
//! - [`commit`]: parsers of commits and tags. [`tree`]: the parser of trees.
//! - [`protocol`]: the messages between `pp-fetcher` and the worker.

pub mod commit;
pub mod id;
pub mod protocol;
pub mod tree;

pub use id::{Hasher, Kind, ObjectId};
