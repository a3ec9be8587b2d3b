//! When something new may be deployed: windows, and freezes.
//!
//! - [`window`]: windows as instants, never as wall clocks that are compared: pure.
//! - [`hold`]: whether a deploy may begin or go on now, and else when.

pub(crate) mod hold;
pub(crate) mod window;
