//! A release's directory: written under another name, then renamed to its own.

use std::fs;

use super::failure::{Failure, FailureClass};
use super::journal::{Phase, Progress};
use super::pipeline::Deployment;
use crate::crash;
use crate::release::Layout;
use crate::release::prune::Failed;
use crate::space;
use crate::state::Trying;

impl Deployment<'_> {
    /// Writes the revision's files into the release's directory, which is there whole or not at all.
    /// If it does not work, it may be for lack of room: then what failed before is not kept any longer.
    ///
    /// # Errors
    /// A tree that is not accepted, or the disk.
    pub(super) fn check_out(
        &mut self,
        trying: &Trying,
        tick: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(), Failure> {
        let first = self.write_release(trying, tick);
        if !matches!(&first, Err(failure) if failure.class == FailureClass::Environment) {
            return first;
        }
        let keep = self.app.deploy.keep;
        let pruned = self.layout.prune(&mut self.state, keep, Failed::None);
        if pruned.gone.is_empty() {
            return first;
        }
        self.write_release(trying, tick)
    }

    fn write_release(
        &mut self,
        trying: &Trying,
        tick: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(), Failure> {
        let disk = |what: String| Failure::environment(Phase::Checkout, what);
        self.layout
            .create()
            .map_err(|(path, e)| disk(format!("{}: {e}{}", path.display(), space::advice(&e))))?;
        let unfinished = self.layout.unfinished(&trying.release);
        let release = self.layout.release(&trying.release);
        let live = self.state.live.as_ref();
        let live = live.map(|live| self.layout.release(&live.release));
        let written = self
            .source
            .check_out(&trying.revision, live.as_deref(), &unfinished, tick)
            .map_err(|e| e.during(Phase::Checkout))
            .and_then(|()| {
                crash::point("before", "release");
                Layout::write_revision(&unfinished, &trying.revision)
                    .map(drop)
                    .and_then(|()| fs::rename(&unfinished, &release))
                    .and_then(|()| fs::File::open(self.layout.releases())?.sync_all())
                    .map_err(|e| disk(format!("{}: {e}{}", release.display(), space::advice(&e))))
            });
        written.inspect_err(|_| {
            // Half a release is worth nothing; what stays is swept by the next poll.
            let _ = fs::remove_dir_all(&unfinished);
        })
    }
}
