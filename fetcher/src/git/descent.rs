//! Proof that one commit descends from another: a chain of commits, each naming the next as a parent.

use pp_objects::ObjectId;
use pp_objects::commit::commit;

/// The bytes of commits, or why they could not be had.
type Commits<E> = Result<Vec<Vec<u8>>, E>;

/// The most commits that are asked for at once.
const BATCH: usize = 256;

/// Returns whether `chain` leads from `to` back to `from`. `get` returns the bytes of commits, proven by their ids, in
/// the order of the ids.
///
/// # Errors
/// The errors of `get`.
pub(crate) fn is_shown<E>(
    from: ObjectId,
    to: ObjectId,
    chain: &[ObjectId],
    get: &mut dyn FnMut(&[ObjectId]) -> Commits<E>,
) -> Result<bool, E> {
    let (Some((last, children)), Some(first)) = (chain.split_last(), chain.first()) else {
        return Ok(false);
    };
    if *first != to || *last != from {
        return Ok(false);
    }
    let mut parents = chain.iter().skip(1);
    for batch in children.chunks(BATCH) {
        let commits = get(batch)?;
        let names = |(raw, parent): (&Vec<u8>, &ObjectId)| {
            commit(raw).is_some_and(|read| read.parents.contains(parent))
        };
        if commits.len() != batch.len() || !commits.iter().zip(parents.by_ref()).all(names) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn only_a_chain_of_parents_shows_a_descent() {
        let id = |n: u8| ObjectId::from_bytes(&[n; 20]).unwrap();
        let child = |parents: &[u8]| {
            let mut raw = format!("tree {}\n", id(9));
            for n in parents {
                raw.push_str(&format!("parent {}\n", id(*n)));
            }
            raw.push_str("author a <a> 1 +0\n\nm\n");
            raw.into_bytes()
        };
        let all = BTreeMap::from([
            (id(1), child(&[])),
            (id(2), child(&[5, 1])),
            (id(3), child(&[2])),
            (id(7), child(&[1])),
        ]);
        let shown = |from: u8, to: u8, chain: &[u8]| {
            let chain: Vec<_> = chain.iter().map(|n| id(*n)).collect();
            let mut get = |ids: &[ObjectId]| {
                let found = ids.iter().map(|id| all.get(id).cloned().ok_or(()));
                found.collect::<Result<Vec<_>, _>>()
            };
            super::is_shown(id(from), id(to), &chain, &mut get)
        };
        assert_eq!(shown(1, 3, &[3, 2, 1]), Ok(true));
        assert_eq!(shown(3, 3, &[3]), Ok(true));
        for chain in [&[][..], &[3], &[1], &[3, 1], &[2, 1], &[3, 2]] {
            assert_eq!(shown(1, 3, chain), Ok(false), "{chain:?}");
        }
        assert_eq!(shown(1, 3, &[3, 7, 1]), Ok(false));
        assert_eq!(shown(1, 8, &[8, 1]), Err(()), "a commit that is not there");
    }
}
