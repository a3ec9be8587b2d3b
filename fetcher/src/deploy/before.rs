//! What there was before an attempt: the release that is gone back to, and what releases were made of.

use super::pipeline::Deployment;
use crate::revision::Revision;
use crate::state::{Kept, Outcome};

impl Deployment<'_> {
    /// The release that an attempt goes back to: what serves, if it ever was good; else the last good
    /// one on disk. Never `but`, and never one that never was good.
    pub(super) fn way_back_to(&self, but: Option<&str>) -> Option<String> {
        let current = self.layout.current().ok().flatten();
        let good = self.good_releases().map(|kept| kept.release.clone());
        current
            .filter(|name| self.was_good(name))
            .into_iter()
            .chain(good)
            .find(|name| but != Some(name) && self.layout.release(name).is_dir())
    }

    /// Every release that is known to have been good, the latest first.
    pub(super) fn good_releases(&self) -> impl Iterator<Item = &Kept> {
        self.state.live.iter().chain(&self.state.earlier)
    }

    /// Whether a release ever was good. One that nobody knows anything of may have been: a state and a
    /// history that were lost must not cost the way back.
    fn was_good(&self, name: &str) -> bool {
        if self.good_releases().any(|kept| kept.release == name) {
            return true;
        }
        let attempts = self.dir.history().read().unwrap_or_default();
        let mut of_it = attempts.iter().rev();
        of_it
            .find(|attempt| attempt.release.as_deref() == Some(name))
            .is_none_or(|attempt| attempt.outcome == Outcome::Good)
    }

    /// What a release was made of.
    pub(super) fn revision_of(&self, name: &str) -> Option<Revision> {
        let known = self.good_releases().find(|kept| kept.release == name);
        let known = known.map(|kept| kept.revision.clone());
        known.or_else(|| self.layout.revision_of(name)).or_else(|| {
            let attempts = self.dir.history().read().ok()?;
            let mut of_it = attempts.into_iter().rev();
            of_it
                .find(|attempt| attempt.release.as_deref() == Some(name))
                .map(|attempt| attempt.revision)
        })
    }
}
