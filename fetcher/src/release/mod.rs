//! The directories of one app: `releases/`, `shared/` and `current`.
//!
//! - [`layout`]: names and places, and what a crash may leave there.
//! - [`switch`]: the one step that changes what is served.
//! - [`shared`]: paths that outlive releases.
//! - [`place`]: whether they can be made at all.
//! - [`prune`]: which releases go. `in_use`: what keeps them. `erase`: how they go.
//!   [`leftover`]: what could not go.

mod erase;
mod in_use;
pub(crate) mod layout;
pub(crate) mod leftover;
pub(crate) mod place;
pub(crate) mod prune;
pub(crate) mod shared;
pub(crate) mod switch;

pub use layout::Layout;
