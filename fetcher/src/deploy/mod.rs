//! From a new revision to the running app, or back.
//!
//! - [`pipeline`]: the steps, in order. Read this first.
//! - [`failure`]: how a step fails, and whose fault that is.
//! - [`journal`]: which step took how long, told while it happens and kept afterwards.
//! - `accept`, `make`, [`build`], [`restart`]: the longer steps.
//! - [`rollback`]: back to an earlier release by hand. [`foresee`]: what a pass would do.
//! - `ending`, `back`, `resume`: how an attempt ends, goes back, or is gone on with after a crash.
//! - [`backoff`]: when what has failed is tried again.
//! - [`source`]: where revisions come from; the trait and the real one.

mod accept;
mod back;
pub mod backoff;
pub mod build;
mod ending;
pub mod failure;
pub mod foresee;
pub mod journal;
mod make;
pub mod pipeline;
pub mod restart;
mod resume;
pub mod rollback;
pub mod source;

pub use backoff::Urge;
pub use failure::{Blame, Failure};
pub use journal::{Journal, Phase, Progress, Reporter};
pub use pipeline::{Deployment, Verdict};
