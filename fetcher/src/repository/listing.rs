//! The result of a poll, and the fetch over the same connection.

use std::path::Path;

use pp_objects::Kind;
use pp_objects::commit::{self, MOST_TAGS};

use super::fault::{environment_failure, no_commit};
use super::fetched::Fetched;
use super::{Repository, submodules};
use crate::deploy::Progress;
use crate::deploy::source::{Candidate, Commit, FollowedRevision, Listing, SourceError};
use crate::git::Remote;
use crate::git::fetch::{FetchError, LAST};
use crate::git::listing::ListedRevision;
use crate::space::{self, SpaceNeed};
use crate::state::Release;
use crate::util::text;
use crate::worker::error::FailureKind;
use crate::worker::{Client, WorkerError};

/// The listed revision, and the conversation with the remote that listed it.
pub(super) struct RemoteListing<'a> {
    pub(super) repository: &'a Repository,
    pub(super) remote: Remote,
    pub(super) listed: ListedRevision,
    pub(super) found: FollowedRevision,
}

impl<'a> Listing<'a> for RemoteListing<'a> {
    fn found(&self) -> &FollowedRevision {
        &self.found
    }

    fn instead(mut self: Box<Self>, live: &Release) -> Box<dyn Listing<'a> + 'a> {
        if self.listed.commit != live.revision {
            self.listed.id = live.revision;
            self.listed.commit = live.revision;
            self.found.revision = live.revision;
            self.found.tag.clone_from(&live.tag);
        }
        self
    }

    fn fetch(
        mut self: Box<Self>,
        tick: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Box<dyn Candidate + 'a>, SourceError> {
        let repository = self.repository;
        // No server says beforehand how large a pack is; without the reserve of free space no fetch is begun.
        let disk = repository.mirror.parent().unwrap_or(Path::new("."));
        space::check(disk, SpaceNeed::default()).map_err(environment_failure)?;
        let mut worker = repository.open().map_err(environment_failure)?;
        let received = self.receive(&mut worker, tick);
        let (tag, raw) = received.map_err(|error| no_commit(error, &self.found, &self.listed))?;
        submodules::fetch_all(repository, &mut worker, self.listed.commit)?;
        let read = commit::commit(&raw)
            .ok_or_else(|| SourceError::environment("the commit is not one as git writes them"))?;
        let commit = Commit {
            author: text::line(read.author),
            subject: text::line(read.subject),
        };
        Ok(Box::new(Fetched {
            repository,
            worker,
            remote: Some(self.remote).filter(Remote::goes_on),
            listed: self.listed,
            tag,
            raw,
            commit,
            planned: None,
        }))
    }
}

impl RemoteListing<'_> {
    /// Fetches the listed revision, and proves the received objects by the ids that the listing gave. Returns the
    /// bytes of the tag object that the listing named, if it named one, and of the commit.
    fn receive(
        &mut self,
        worker: &mut Client,
        tick: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(Option<Vec<u8>>, Vec<u8>), FetchError> {
        let listed = &self.listed;
        self.remote.fetch(worker, listed, LAST, &mut |now| {
            tick(Progress::Fetch {
                bytes: now.bytes,
                objects: now.done,
                of: now.of,
            });
        })?;
        let elsewhere = || WorkerError::Refused {
            trouble: FailureKind::Other,
            why: format!(
                "the tag {} does not point at the commit that was listed",
                text::line(listed.reference.as_bytes())
            ),
            errno: None,
        };
        let (mut at, mut outermost) = (listed.id, None);
        for _ in 0..MOST_TAGS {
            if at == listed.commit {
                break;
            }
            let tag = worker.object(at, Kind::Tag)?;
            at = commit::tag(&tag).ok_or_else(elsewhere)?.target;
            outermost.get_or_insert(tag);
        }
        if at != listed.commit {
            return Err(elsewhere().into());
        }
        Ok((outermost, worker.object(at, Kind::Commit)?))
    }
}
