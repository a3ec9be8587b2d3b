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
pub mod layout;
pub mod leftover;
pub mod place;
pub mod prune;
pub mod shared;
pub mod switch;

pub use layout::Layout;
