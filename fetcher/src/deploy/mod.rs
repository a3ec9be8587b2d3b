//! From a new revision to the running app, or back.
//!
//! - [`pipeline`]: the steps, in order. Read this first. [`step`]: their names, and what a crash leads to.
//! - [`deployment`]: the app with what a pass needs, and what a pass comes to.
//! - [`failure`]: how a step fails, and whose fault that is.
//! - [`journal`]: which step took how long, told while it happens and kept afterwards.
//! - Steps: `candidate` (what is new), [`look`] (what does not depend on it), `verify`, `checkout`, `shared`,
//!   [`build`], `switch`, [`restart`].
//! - `previous`: what there was before. `end`, `tidy`: how an attempt ends, and what is removed then.
//! - [`rollback`]: which release to go back to by hand. [`dry_run`]: what a pass would do.
//! - [`backoff`]: when what has failed is tried again.
//! - [`source`]: where revisions come from.

pub(crate) mod backoff;
pub(crate) mod build;
mod candidate;
mod checkout;
pub(crate) mod deployment;
pub(crate) mod dry_run;
mod end;
pub(crate) mod failure;
pub(crate) mod journal;
pub(crate) mod look;
pub(crate) mod pipeline;
mod previous;
pub(crate) mod restart;
pub(crate) mod rollback;
mod shared;
pub(crate) mod source;
pub(crate) mod step;
mod switch;
mod tidy;
mod verify;

pub(crate) use backoff::Trigger;
pub(crate) use deployment::{Deployment, Verdict};
pub(crate) use failure::{Failure, FailureClass};
pub(crate) use journal::{Journal, Progress, Reporter};
pub use step::Step;
