//! The deploy of an app: from a new revision to the running app, or back to the release before.
//!
//! - [`pipeline`]: the steps, in order. Read this first. [`step`]: the steps' names, and how a pass goes on after
//!   a crash.
//! - [`deployment`]: the app with everything that a pass needs, and the verdict of a pass.
//! - [`failure`]: the failure of a step, and whether the revision or its environment is at fault. [`code`]: the word
//!   for it that programs go by.
//! - [`recorder`]: how long each step took, reported while the steps run and kept afterwards.
//! - Steps: `candidate` (poll and fetch), `green` (what the forge says of the commit), [`look`] (what does not depend on the revision), `verify`, `checkout`,
//!   `shared`, [`build`], `switch`, [`restart`].
//! - `previous`: what there was before an attempt. `end`, `tidy`: the end of an attempt, and the removal of releases.
//! - [`rollback`]: the choice of a release for a rollback by hand. [`dry_run`]: what a pass would do.
//! - [`backoff`]: when a failed poll or attempt is repeated.
//! - [`source`]: the traits of a source of revisions.

pub(crate) mod backoff;
pub(crate) mod build;
mod candidate;
mod checkout;
pub(crate) mod code;
pub(crate) mod deployment;
pub(crate) mod dry_run;
mod end;
pub(crate) mod failure;
mod green;
pub(crate) mod look;
pub(crate) mod pipeline;
mod previous;
pub(crate) mod recorder;
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
pub(crate) use recorder::{Progress, Reporter, StepRecorder};
pub use step::Step;
