//! Pins: refs of the mirror on commits that the next fetch builds on and that tidying keeps.

use git2::Oid;

use super::{Mirror, MirrorError};

/// The prefix of every pin. The mirror has no other refs.
pub(super) const PINS: &str = "refs/pp/";

/// The prefix of a submodule's pin, below [`PINS`].
const SUBMODULE: &str = "submodule-";

/// What the server of a fetch is told about the mirror.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tips {
    /// Commits that are in the mirror with their history.
    pub(crate) commits: Vec<Oid>,
    /// Commits at which the mirror's history ends although they are not its beginning.
    pub(crate) boundary: Vec<Oid>,
}

impl Mirror {
    /// Returns what to tell the server if `id` is to be fetched as `pin`; `None` if `id` is in the mirror already.
    ///
    /// # Errors
    /// The mirror cannot be read.
    pub(crate) fn tips_without(&self, id: Oid, pin: &str) -> Result<Option<Tips>, MirrorError> {
        if self.contains(id) {
            return Ok(None);
        }
        self.haves(pin).map(Some)
    }

    /// Pins the commit of `id`, which has just been fetched, as `pin`, and returns that commit.
    ///
    /// # Errors
    /// [`MirrorError::Object`].
    pub(crate) fn pin_fetched(&self, id: Oid, pin: &str) -> Result<Oid, MirrorError> {
        let commit = self.commit_of(id)?;
        self.pin(pin, commit)?;
        Ok(commit)
    }

    /// Pins `id` under a name (letters, digits and `-`): the next fetch builds on pinned commits.
    ///
    /// # Errors
    /// [`MirrorError::Object`] if `id` is not in the mirror or the ref cannot be written.
    pub(crate) fn pin(&self, name: &str, id: Oid) -> Result<(), MirrorError> {
        let reference = self
            .repository
            .reference(&format!("{PINS}{name}"), id, true, "");
        reference.map_err(|error| self.missing(id, &error))?;
        Ok(())
    }

    /// Returns the pinned commits of the repository whose fetches are pinned as `pin`, some of their history, and where
    /// that ends, to tell its server. The app's server is told nothing of a submodule's history, and a
    /// submodule's server nothing of the app's.
    fn haves(&self, pin: &str) -> Result<Tips, MirrorError> {
        let tips = if pin.starts_with(SUBMODULE) {
            self.pins(|name| name == pin)?
        } else {
            self.pins(|name| !name.starts_with(SUBMODULE))?
        };
        self.known(tips)
    }

    /// Returns the commits of the pins for whose names `wanted` is true.
    pub(super) fn pins(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<Oid>, MirrorError> {
        let refs = self.repository.references_glob(&format!("{PINS}*"));
        let refs = refs.map_err(|error| self.damaged(error.message()))?;
        let mut pins = Vec::new();
        for reference in refs {
            let reference = reference.map_err(|error| self.damaged(error.message()))?;
            let name = reference.name().unwrap_or_default();
            if !wanted(name.strip_prefix(PINS).unwrap_or_default()) {
                continue;
            }
            let commit = reference.target().map(|id| self.commit_of(id));
            let commit = commit
                .and_then(Result::ok)
                .ok_or_else(|| self.damaged("a pin is no commit"))?;
            pins.push(commit);
        }
        pins.dedup();
        Ok(pins)
    }
}
