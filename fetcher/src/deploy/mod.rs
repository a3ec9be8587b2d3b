//! From a new revision to the running app, or back.
//!
//! - [`pipeline`]: the steps, in order. Read this first.
//! - [`failure`]: how a step fails, and whose fault that is.
//! - [`journal`]: which step took how long, told while it happens and kept afterwards.
//! - `seek`: what is new. [`look`]: what does not depend on it. `before`: what is gone back to.
//! - `accept`, `make`, [`build`], [`restart`]: the longer steps.
//! - [`rollback`]: back to an earlier release by hand. [`foresee`]: what a pass would do.
//! - `ending`, `back`, `resume`: how an attempt ends, goes back, or is gone on with after a crash.
//! - [`backoff`]: when what has failed is tried again.
//! - [`source`]: where revisions come from; the trait and the real one.

mod accept;
mod back;
pub mod backoff;
mod before;
pub mod build;
mod ending;
pub mod failure;
pub mod foresee;
pub mod journal;
pub mod look;
mod make;
pub mod pipeline;
pub mod restart;
mod resume;
pub mod rollback;
mod seek;
pub mod source;

pub use backoff::Trigger;
pub use failure::{Failure, FailureClass};
pub use journal::{Beginning, Journal, Phase, Progress, Reporter};
pub use pipeline::{Deployment, Verdict};
