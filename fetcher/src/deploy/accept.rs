//! Whether a revision may be deployed at all.

use std::cmp::Ordering;

use super::failure::{Failure, FailureClass};
use super::journal::Phase;
use super::pipeline::{Deployment, Draft};
use super::source::{Found, SourceError};
use crate::config::settings::Follow;
use crate::git::version::Version;
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
    /// The revision is signed if it must be, and goes on from the live one or was accepted: a branch by
    /// descent, a tag by a higher version.
    ///
    /// # Errors
    /// It is not, or does not.
    pub(super) fn verify(&mut self, draft: &Draft, found: &Found) -> Result<Accepted, Failure> {
        let signed_by = self.signer(&draft.revision)?;
        let rewritten = match self.leaves_the_line(draft, found)? {
            Some(why) if !self.state.accepts_rewrite(&draft.revision) => {
                return Err(self.refuse(&draft.revision, &why));
            }
            leaves => leaves.is_some(),
        };
        Ok(Accepted {
            signed_by,
            rewritten,
        })
    }

    /// Why the revision does not go on from the live one; none if it does, or need not.
    fn leaves_the_line(&mut self, draft: &Draft, found: &Found) -> Result<Option<String>, Failure> {
        if !self.app.fast_forward_only {
            return Ok(None);
        }
        let new = &draft.revision;
        if let Some(tag) = &found.tag {
            if let Some(before) = self.state.seen_tag(tag).filter(|before| *before != new) {
                return Ok(Some(format!(
                    "the tag {tag} was moved from {} to {}: a tag that was deployed, or tried, is not to change",
                    before.short(),
                    new.short()
                )));
            }
            // Releases may live on branches of their own: what counts is the version.
            if let Some(ordered) = self.by_version(tag, new) {
                return Ok(ordered.err());
            }
        }
        // The live revision if we know it; else what the release that serves says of itself, so
        // that losing the state does not lose the protection against a downgrade.
        let live = self.state.live.as_ref().map(|live| live.revision.clone());
        let Some(live) = live.or(draft.previous.clone()).filter(|live| live != new) else {
            return Ok(None);
        };
        self.by_descent(&live, new)
    }

    /// The order of the new tag and the live one; none where the live release came from no tag that has an
    /// order.
    fn by_version(&self, tag: &str, new: &Revision) -> Option<Result<(), String>> {
        let Follow::Tag(pattern) = &self.app.follow else {
            return None;
        };
        let live = self.state.live.as_ref()?;
        let live_tag = live.tag.as_ref().filter(|_| live.revision != *new)?;
        let (old, version) = (Version::of(pattern, live_tag)?, Version::of(pattern, tag)?);
        let (new, old_revision) = (new.short(), live.revision.short());
        Some(match version.cmp(&old) {
            Ordering::Greater => Ok(()),
            Ordering::Less => Err(format!(
                "{tag} ({new}) is older than the live version {live_tag} ({old_revision}), whose tag is no longer \
                 there or no longer matches"
            )),
            Ordering::Equal => Err(format!(
                "{tag} ({new}) is the same version as the live {live_tag} ({old_revision}), and another revision"
            )),
        })
    }

    fn by_descent(&mut self, live: &Revision, new: &Revision) -> Result<Option<String>, Failure> {
        let during = |e: SourceError| e.during(Phase::Verify);
        if self.source.descends(live, new).map_err(during)? {
            return Ok(None);
        }
        let (shown, live_shown) = (new.short(), live.short());
        Ok(Some(if self.source.descends(new, live).map_err(during)? {
            format!("{shown} is older than the live revision {live_shown}, which descends from it")
        } else {
            format!(
                "{shown} is on another line than the live revision {live_shown}: it does not descend from it, so the \
                 history was rewritten, or this is another branch"
            )
        }))
    }

    fn refuse(&self, revision: &Revision, why: &str) -> Failure {
        let app = &self.app.name;
        let what = format!(
            "{why}\n  push what goes on from the live one; or, if this is meant, accept it: pp-fetcher \
             accept-rewrite {app} {revision}"
        );
        Failure::refused(Phase::Verify, what)
    }

    /// Who signed it; nobody where nobody need.
    fn signer(&mut self, revision: &Revision) -> Result<Option<String>, Failure> {
        let Some(allowed) = &self.app.allowed_signers else {
            return Ok(None);
        };
        let signer = self.source.signer(revision, allowed).map_err(|mut error| {
            if error.class == FailureClass::Revision {
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
