//! What git objects say, proven by their names. Safe Rust, no libgit2.
//!
//! The process that unpacks foreign data ([`crate::worker`]) is not believed. What it hands over is
//! hashed here, and taken only if it is what its name says:
//!
//! ```text
//!  the forge's listing ──▶ id of the tag ──▶ tag ──▶ id of the commit ──▶ commit ─┬▶ signature, author
//!                          (ssh's word)     (bytes)                       (bytes) ├▶ parents ──▶ … ──▶ the live commit
//!                                                                                 └▶ id of the tree ──▶ trees ──▶ files on disk
//! ```
//!
//! - [`object`]: an object's name. The hash is SHA-1 with the detection of known attacks, as in git.
//! - [`commit`]: commits and tags read. [`tree`]: trees read.
//! - [`gitlink`]: which commit a submodule is at.
//! - [`descent`]: one commit descends from another. [`written`]: a directory holds a tree, and
//!   nothing else.

pub mod commit;
pub mod descent;
pub mod gitlink;
pub mod object;
pub mod tree;
pub mod written;

pub use object::{Id, Kind};
