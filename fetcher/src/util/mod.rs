//! Small helpers that belong to no room of their own.
//!
//! - [`text`]: text from elsewhere, made fit for a terminal. [`duration`]: durations as people write them.
//! - [`glob`]: patterns of names. [`mod@file`]: opening files that others can replace.
//! - [`sync`]: locks that threads share. [`stamp`]: whether a file is the one that it was.

pub(crate) mod duration;
pub(crate) mod file;
pub(crate) mod glob;
pub(crate) mod stamp;
pub(crate) mod sync;
pub(crate) mod text;
