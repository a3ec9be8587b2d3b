//! Finds out how one commit descends from another, in the mirror and in the packs that are here for their commits alone.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use git2::Oid;

use super::history::links;
use super::{Mirror, MirrorError};

/// What the commits that are here say of a descent.
pub(crate) enum Descent {
    /// The commits that lead from the younger commit back to the older one, both included, each a parent of the
    /// previous commit in the list.
    Shown(Vec<Oid>),
    /// The whole history of the younger commit is here, and the older one is not in it.
    None,
    /// The older commit was not found, and the history of the younger one is not here to its beginnings.
    Cut,
}

impl Mirror {
    /// Returns how the commits lead from `new` back to `old`, which need not be here itself.
    ///
    /// # Errors
    /// [`MirrorError::Object`] if a commit cannot be read.
    pub(crate) fn chain(&self, old: Oid, new: Oid) -> Result<Descent, MirrorError> {
        let packs = self.packs()?;
        let mut reader = packs.reader();
        if !packs.has(new) {
            return Ok(Descent::Cut);
        }
        let mut child_of = HashMap::new();
        let mut left = VecDeque::from([new]);
        let mut cut = false;
        let mut found = old == new;
        while let Some(id) = left.pop_front().filter(|_| !found) {
            for parent in links(&mut reader, id)?.parents {
                let Entry::Vacant(place) = child_of.entry(parent) else {
                    continue;
                };
                place.insert(id);
                found |= parent == old;
                match packs.has(parent) {
                    true => left.push_back(parent),
                    false => cut = true,
                }
            }
        }
        Ok(match (found, cut) {
            (true, _) => Descent::Shown(path(&child_of, old, new)),
            (false, true) => Descent::Cut,
            (false, false) => Descent::None,
        })
    }
}

/// Follows the children from `old` to `new`, and returns the way back.
fn path(child_of: &HashMap<Oid, Oid>, old: Oid, new: Oid) -> Vec<Oid> {
    let mut chain = vec![old];
    let mut last = old;
    while let Some(&child) = child_of.get(&last).filter(|_| last != new) {
        chain.push(child);
        last = child;
    }
    chain.reverse();
    chain
}
