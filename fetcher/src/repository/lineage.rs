//! How a fetched revision stands to the live one: by the commits in the mirror, or by those that the forge sends for
//! this question alone.

use std::time::{Duration, Instant};

use pp_objects::{Kind, ObjectId};

use super::Repository;
use super::fault::environment_failure;
use crate::deploy::source::{Lineage, SourceError};
use crate::git::fetch::{FetchError, History};
use crate::git::listing::ListedRevision;
use crate::git::wire::Between;
use crate::git::{Remote, descent};
use crate::worker::{Chain, Client, Objects, WorkerError};

/// The longest time in which the worker has to show that one commit descends from another.
const DESCENT: Duration = Duration::from_secs(300);

/// A fetched revision, and who can tell of its history.
pub(super) struct Question<'a> {
    /// Uses the worker while the forge looks for commits.
    pub(super) meanwhile: &'a mut dyn FnMut(&mut Client) -> Result<(), WorkerError>,
    pub(super) repository: &'a Repository,
    /// The worker that has the mirror open.
    pub(super) worker: &'a mut Client,
    /// The conversation that brought the revision, if the server answers more requests over it.
    pub(super) remote: &'a mut Option<Remote>,
    pub(super) listed: &'a ListedRevision,
}

/// Returns how the fetched revision stands to `other`.
///
/// The mirror has little history, as no deploy needs more; often the revision itself names `other` as its parent.
/// Where the mirror cannot tell, the forge is asked for the commits between the two.
///
/// # Errors
/// The mirror cannot be read, or the forge cannot be asked.
pub(super) fn of(question: Question<'_>, other: ObjectId) -> Result<Lineage, SourceError> {
    match from_mirror(question.worker, other, question.listed.commit) {
        Ok(Some(lineage)) => Ok(lineage),
        Ok(None) => ask(question, other),
        Err(error) => Err(environment_failure(error)),
    }
}

/// Returns how the two revisions stand to each other by the commits in the mirror; `None` if those are not enough.
fn from_mirror(
    worker: &mut Client,
    other: ObjectId,
    new: ObjectId,
) -> Result<Option<Lineage>, WorkerError> {
    match worker.chain(other, new)? {
        Chain::Told(chain) if is_shown(worker, other, new, &chain)? => {
            return Ok(Some(Lineage::Descendant));
        }
        Chain::Told(_) => {}
        Chain::Cut => return Ok(None),
    }
    Ok(match worker.chain(new, other)? {
        Chain::Told(chain) if is_shown(worker, new, other, &chain)? => Some(Lineage::Ancestor),
        Chain::Told(_) => Some(Lineage::Other),
        Chain::Cut => None,
    })
}

/// Asks the forge for the commits between the two revisions.
fn ask(question: Question<'_>, other: ObjectId) -> Result<Lineage, SourceError> {
    let Question {
        repository,
        worker,
        remote: kept,
        listed,
        meanwhile,
    } = question;
    // A server of version 0 gives only what it has listed: perhaps the tag, not the commit.
    let between = Between {
        want: listed.id,
        have: other,
    };
    let kept_one = kept.take();
    let remote = match kept_one.filter(|remote| remote.can_be_asked_for(between)) {
        Some(remote) => Ok(remote),
        None => Remote::connect(&repository.url, &repository.options),
    };
    let mut remote = remote.map_err(|error| repository.advised(&error))?;
    let history = remote.fetch_history(worker, between, meanwhile);
    let history = history.map_err(|error| match error {
        FetchError::Remote(error) => repository.advised(&error),
        FetchError::Worker(error) => environment_failure(error),
    })?;
    *kept = Some(remote).filter(Remote::goes_on);
    let shown = match history {
        History::Unknown => return Ok(Lineage::Other),
        History::Empty => return Ok(Lineage::Ancestor),
        History::Came => match worker.chain(other, listed.commit) {
            Ok(Chain::Told(chain)) => is_shown(worker, other, listed.commit, &chain),
            Ok(Chain::Cut) => Ok(false),
            Err(error) => Err(error),
        },
    };
    match shown.map_err(environment_failure)? {
        true => Ok(Lineage::Descendant),
        false => Ok(Lineage::Other),
    }
}

/// Proves the chain that the worker tells of.
fn is_shown(
    worker: &mut Client,
    from: ObjectId,
    to: ObjectId,
    chain: &[ObjectId],
) -> Result<bool, WorkerError> {
    let begun = Instant::now();
    // Each answer has a time limit of its own; a worker that uses it up each time would take days.
    let get = &mut |ids: &[ObjectId]| match begun.elapsed() > DESCENT {
        true => Err(WorkerError::TimedOut {
            doing: "showing that one commit descends from another",
            time: DESCENT,
            said: String::new(),
        }),
        false => worker.read(Kind::Commit, ids),
    };
    descent::is_shown::<WorkerError>(from, to, chain, get)
}
