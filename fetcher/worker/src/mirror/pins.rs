//! Pins: refs that name what is kept, so that the next fetch builds on it and tidying leaves it.

use git2::Oid;

use super::{Mirror, MirrorError, broken};

/// Where pins live. Nothing else in the mirror is a ref.
pub(super) const PINS: &str = "refs/pp/";

/// What the pins of submodules begin with.
const SUBMODULE: &str = "submodule-";

/// What the server of a fetch is told is here already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tips {
    /// Commits that are here with their history.
    pub(crate) commits: Vec<Oid>,
    /// Those at which that history ends without being at its beginning.
    pub(crate) boundary: Vec<Oid>,
}

impl Mirror {
    /// What to tell the server is here already if `id` is to be fetched; none if `id` is here.
    ///
    /// # Errors
    /// The mirror cannot be read.
    pub(crate) fn tips_without(&self, id: Oid, pin: &str) -> Result<Option<Tips>, MirrorError> {
        if self.contains(id) {
            return Ok(None);
        }
        Ok(Some(Tips {
            commits: self.haves(pin)?,
            boundary: self.boundary(),
        }))
    }

    /// Pins the commit of `id`, which has just been fetched, as `pin`, and names that commit.
    ///
    /// # Errors
    /// [`MirrorError::Object`].
    pub(crate) fn keep_as(&self, id: Oid, pin: &str) -> Result<Oid, MirrorError> {
        let commit = self.commit_of(id)?;
        self.pin(pin, commit)?;
        Ok(commit)
    }

    /// Keeps `id` under a name (letters, digits and `-`): what is pinned is what the next fetch
    /// builds on.
    ///
    /// # Errors
    /// [`MirrorError::Object`] if it is not here or the ref cannot be written.
    pub(crate) fn pin(&self, name: &str, id: Oid) -> Result<(), MirrorError> {
        let reference = self
            .repository
            .reference(&format!("{PINS}{name}"), id, true, "");
        reference.map_err(|error| self.missing(id, &error))?;
        Ok(())
    }

    /// What is pinned of the repository whose fetches are kept as `pin`, and some of its history, newest
    /// first, to tell its server. The app's server is told nothing of a submodule's history, and the
    /// other way round.
    fn haves(&self, pin: &str) -> Result<Vec<Oid>, MirrorError> {
        let tips = if pin.starts_with(SUBMODULE) {
            self.pins(|name| name == pin)?
        } else {
            self.pins(|name| !name.starts_with(SUBMODULE))?
        };
        self.recent(tips)
    }

    /// The commits of the pins whose names are `wanted`.
    pub(super) fn pins(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<Oid>, MirrorError> {
        let refs = self.repository.references_glob(&format!("{PINS}*"));
        let refs = refs.map_err(|error| broken(&self.path, &error))?;
        let mut pins = Vec::new();
        for reference in refs {
            let reference = reference.map_err(|error| broken(&self.path, &error))?;
            let name = reference.name().unwrap_or_default();
            if !wanted(name.strip_prefix(PINS).unwrap_or_default()) {
                continue;
            }
            let commit = reference.target().map(|id| self.commit_of(id));
            let commit = commit
                .and_then(Result::ok)
                .ok_or_else(|| broken(&self.path, &git2::Error::from_str("a pin is no commit")))?;
            pins.push(commit);
        }
        pins.dedup();
        Ok(pins)
    }
}
