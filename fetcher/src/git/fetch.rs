//! One revision with all it needs, from the remote into a store: the mirror, or the process that
//! has it open.

use std::time::Instant;

use git2::Oid;

use super::error::RemoteError;
use super::listing::Revision;
use super::mirror::{Mirror, MirrorError};
pub use super::receive::Progress;
use super::receive::{BrokenOff, NotTaken, Pack};
use super::remote::Remote;
use super::text;
use super::transport::Transport;
use super::wire::{self, Wire, WireError};

/// Name of the pin on what was fetched last, so that the next fetch builds on it whatever became
/// of it.
pub const LAST: &str = "last-fetched";

/// What a fetch has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetched {
    /// The commit to deploy: here, with its tree and its history.
    pub commit: Oid,
    /// Bytes of the pack; 0 if everything was here already.
    pub bytes: u64,
    /// Objects of the pack.
    pub objects: usize,
}

/// What is in a store already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Commits that are here with their history.
    pub commits: Vec<Oid>,
    /// Those at which that history ends without being at its beginning.
    pub boundary: Vec<Oid>,
}

/// Where a revision is fetched into.
pub trait Store {
    /// Why it cannot be.
    type Error: From<RemoteError>;

    /// The commits to name to the server as here already, those of what is kept as `pin`; none if `id`
    /// itself is here.
    ///
    /// # Errors
    /// The store cannot be read.
    fn haves(&mut self, id: Oid, pin: &str) -> Result<Option<Held>, Self::Error>;

    /// Takes the pack that is to bring `id`.
    ///
    /// # Errors
    /// [`NotTaken`]; the store is then as it was.
    fn receive(
        &mut self,
        id: Oid,
        pack: &mut dyn Pack,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Progress, NotTaken<Self::Error>>;

    /// Keeps `id`, which is here now, as `pin` for the next fetch to build on, and names its commit.
    ///
    /// # Errors
    /// It is not here, or no commit.
    fn keep_as(&mut self, id: Oid, pin: &str) -> Result<Oid, Self::Error>;
}

impl Remote {
    /// Gets `revision` into `mirror`, in this process.
    ///
    /// # Errors
    /// [`RemoteError`]; the mirror is then as it was.
    pub fn fetch(
        &mut self,
        mirror: &Mirror,
        revision: &Revision,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Fetched, RemoteError> {
        self.fetch_into(&mut InProcess(mirror), revision, LAST, progress)
    }

    /// Gets `revision` into `store`, which keeps it as `pin`.
    ///
    /// # Errors
    /// What the remote or the store says; the store is then as it was.
    pub fn fetch_into<S: Store>(
        &mut self,
        store: &mut S,
        revision: &Revision,
        pin: &str,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Fetched, S::Error> {
        let mut seen = Progress::default();
        if let Some(haves) = store.haves(revision.id, pin)? {
            let asked = wire::pack::request(
                &mut self.wire,
                &mut self.greeting,
                revision.id,
                &haves.commits,
                &haves.boundary,
            );
            asked.map_err(|error| self.failed(error))?;
            let mut pack = OffTheWire {
                deadline: self.wire.stream().deadline(),
                boundary: self.greeting.shallow.clone(),
                wire: &mut self.wire,
                error: None,
            };
            let received = store.receive(revision.id, &mut pack, progress);
            let error = pack.error;
            seen = received.map_err(|why| match (why, error) {
                (NotTaken::Failed(error), _) => error,
                (_, Some(error)) => self.failed(error).into(),
                (NotTaken::Refused(why), None) => self.refused(&why).into(),
                (NotTaken::BrokenOff | NotTaken::Late, None) => self.late().into(),
            })?;
        }
        Ok(Fetched {
            commit: store.keep_as(revision.id, pin)?,
            bytes: seen.bytes,
            objects: seen.total,
        })
    }

    fn late(&self) -> RemoteError {
        RemoteError::TimedOut {
            remote: self.ends.remote.clone(),
            deadline: self.ends.options.deadline,
            said: String::new(),
        }
    }

    fn refused(&self, why: &str) -> RemoteError {
        RemoteError::Pack {
            remote: self.ends.remote.clone(),
            why: text::line(why.as_bytes()),
        }
    }
}

/// A pack as it comes from the server.
struct OffTheWire<'a> {
    wire: &'a mut Wire<Transport>,
    deadline: Instant,
    boundary: Vec<Oid>,
    error: Option<WireError>,
}

impl Pack for OffTheWire<'_> {
    fn next(&mut self) -> Result<Option<&[u8]>, BrokenOff> {
        match wire::pack::next_chunk(self.wire) {
            Ok(chunk) => Ok(chunk),
            Err(error) => {
                self.error = Some(error);
                Err(BrokenOff)
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.deadline)
    }

    fn boundary(&self) -> Vec<Oid> {
        self.boundary.clone()
    }
}

/// The mirror, opened by this very process.
struct InProcess<'a>(&'a Mirror);

impl Store for InProcess<'_> {
    type Error = RemoteError;

    fn haves(&mut self, id: Oid, pin: &str) -> Result<Option<Held>, RemoteError> {
        Ok(self.0.lacks(id, pin)?)
    }

    fn receive(
        &mut self,
        id: Oid,
        pack: &mut dyn Pack,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Progress, NotTaken<RemoteError>> {
        let received = self.0.receive(id, pack, progress);
        received.map_err(|why| match why {
            NotTaken::BrokenOff => NotTaken::BrokenOff,
            NotTaken::Late => NotTaken::Late,
            NotTaken::Refused(why) => NotTaken::Refused(why),
            NotTaken::Failed(error) => NotTaken::Failed(error.into()),
        })
    }

    fn keep_as(&mut self, id: Oid, pin: &str) -> Result<Oid, RemoteError> {
        Ok(self.0.keep_as(id, pin)?)
    }
}

impl Mirror {
    /// What to tell the server is here already if `id` is to be fetched; none if it is here.
    ///
    /// # Errors
    /// The mirror cannot be read.
    pub fn lacks(&self, id: Oid, pin: &str) -> Result<Option<Held>, MirrorError> {
        if self.contains(id) {
            return Ok(None);
        }
        Ok(Some(Held {
            commits: self.haves(pin)?,
            boundary: self.boundary(),
        }))
    }

    /// Pins the commit of `id`, which has just been fetched, as `pin`, and names it.
    ///
    /// # Errors
    /// [`MirrorError::Object`].
    pub fn keep_as(&self, id: Oid, pin: &str) -> Result<Oid, MirrorError> {
        let commit = self.commit_of(id)?;
        self.pin(pin, commit)?;
        Ok(commit)
    }
}
