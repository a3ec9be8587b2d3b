//! Small helpers that belong to no room of their own.
//!
//! - [`text`]: text from elsewhere, made fit for a terminal. [`duration`]: durations as people write them.
//! - [`glob`]: patterns of names.

pub(crate) mod duration;
pub(crate) mod glob;
pub(crate) mod text;
