//! Whether a revision may be deployed at all.

use super::failure::Failure;
use super::journal::Phase;
use super::pipeline::{Deployment, Draft};
use super::restart::check_permitted;

impl Deployment<'_> {
    /// The revision descends from the live one, and everything its deploy needs is allowed.
    ///
    /// # Errors
    /// It does not, or something is not.
    pub(super) fn verify(&mut self, draft: &Draft) -> Result<(), Failure> {
        self.layout
            .current()
            .map_err(|e| Failure::surroundings(Phase::Verify, e.to_string()))?;
        // The live revision if we know it; else what the release that serves says of itself, so
        // that losing the state does not lose the protection against a downgrade.
        let live = self
            .state
            .live
            .as_ref()
            .map(|live| &live.revision)
            .or(draft.previous.as_ref());
        if let Some(live) =
            live.filter(|live| self.app.fast_forward_only && **live != draft.revision)
        {
            let descends = self.source.descends(live, &draft.revision);
            if !descends.map_err(|e| e.during(Phase::Verify))? {
                return Err(Failure::refused(
                    Phase::Verify,
                    format!(
                        "{} does not descend from the live revision {}: the history was rewritten\n  \
                         push a commit that does, or set fast_forward_only = false for this app",
                        draft.revision.short(),
                        live.short()
                    ),
                ));
            }
        }
        check_permitted(self.restarter, self.app)
    }
}
