//! Whether a revision may be deployed at all.

use super::failure::{Blame, Failure};
use super::journal::Phase;
use super::pipeline::{Deployment, Draft};
use super::restart::check_permitted;
use crate::revision::Revision;

/// What is known of a revision that may be deployed.
#[derive(Debug)]
pub(super) struct Accepted {
    /// Who signed it, where that is asked for.
    pub(super) signed_by: Option<String>,
    /// Whether it leaves the live history, and somebody has accepted that.
    pub(super) rewritten: bool,
}

impl Deployment<'_> {
    /// The revision is signed if it must be, descends from the live one or was accepted, and all its deploy
    /// needs is allowed.
    ///
    /// # Errors
    /// It does not, or something is not.
    pub(super) fn verify(&mut self, draft: &Draft) -> Result<Accepted, Failure> {
        self.layout
            .current()
            .map_err(|e| Failure::surroundings(Phase::Verify, e.to_string()))?;
        let signed_by = self.signer(&draft.revision)?;
        // The live revision if we know it; else what the release that serves says of itself, so
        // that losing the state does not lose the protection against a downgrade.
        let live = self
            .state
            .live
            .as_ref()
            .map(|live| &live.revision)
            .or(draft.previous.as_ref());
        let mut rewritten = false;
        if let Some(live) =
            live.filter(|live| self.app.fast_forward_only && **live != draft.revision)
        {
            let descends = self.source.descends(live, &draft.revision);
            rewritten = !descends.map_err(|e| e.during(Phase::Verify))?;
            if rewritten && !self.state.accepts_rewrite(&draft.revision) {
                return Err(self.refuse_rewrite(&draft.revision, live));
            }
        }
        check_permitted(self.restarter, self.app)?;
        Ok(Accepted {
            signed_by,
            rewritten,
        })
    }

    fn refuse_rewrite(&self, revision: &Revision, live: &Revision) -> Failure {
        let app = &self.app.name;
        let what = format!(
            "{} does not descend from the live revision {}: the history was rewritten, or this is \
             an older revision\n  push a commit that does; or, if it is meant, accept this one: \
             pp-fetcher accept-rewrite {app} {revision}",
            revision.short(),
            live.short()
        );
        Failure::refused(Phase::Verify, what)
    }

    /// Who signed it; nobody where nobody need.
    fn signer(&mut self, revision: &Revision) -> Result<Option<String>, Failure> {
        let Some(allowed) = &self.app.allowed_signers else {
            return Ok(None);
        };
        let signer = self.source.signer(revision, allowed).map_err(|mut error| {
            if error.blame == Blame::Revision {
                error.what.push_str(&format!(
                    "\n  it is not tried again by itself; `pp-fetcher retry {}` lets the next poll try it",
                    self.app.name
                ));
            }
            error.during(Phase::Verify)
        })?;
        Ok(Some(signer))
    }
}
