//! The directories of one app: `releases/`, `shared/` and `current`.
//!
//! - [`layout`]: names and paths, and what a crash may leave there.
//! - [`switch`]: the one step that changes which release is served.
//! - [`shared`]: paths that outlive releases.
//! - [`place`]: whether these directories can be made at all.
//! - [`crossing`]: what a way back crosses. [`surroundings`]: what a release depends on and is in no commit.
//! - [`prune`]: which releases are removed. `in_use`: which releases running processes use. `erase`: the
//!   removal. [`leftover`]: releases that could not be removed.

pub(crate) mod crossing;
mod erase;
mod in_use;
pub(crate) mod layout;
pub(crate) mod leftover;
pub(crate) mod place;
pub(crate) mod prune;
pub(crate) mod shared;
pub(crate) mod surroundings;
pub(crate) mod switch;

pub use layout::Layout;
