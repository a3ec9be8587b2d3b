//! The trait by which the other modules read git objects by their ids.

use bytes::Bytes;
use pp_objects::{Kind, ObjectId};

use super::error::WorkerError;

/// A source of git objects: the worker, or a stand-in for it in tests.
pub(crate) trait Objects {
    /// Returns the content of each of these objects, proven by the object's id.
    ///
    /// # Errors
    /// An object cannot be read, or its content is not that of its id.
    fn read(&mut self, kind: Kind, ids: &[ObjectId]) -> Result<Vec<Vec<u8>>, WorkerError>;

    /// Returns the size of each of these blobs in bytes, as the worker says. The sizes are not proven.
    ///
    /// # Errors
    /// A blob cannot be read.
    fn sizes(&mut self, ids: &[ObjectId]) -> Result<Vec<u64>, WorkerError>;

    /// Hands each of these blobs to `take`, piece by piece, until `take` returns false. The content is not proven.
    ///
    /// # Errors
    /// A blob cannot be read.
    fn stream(
        &mut self,
        ids: &[ObjectId],
        take: &mut dyn FnMut(ObjectPiece) -> bool,
    ) -> Result<(), WorkerError>;
}

/// A piece of one of several objects. Pieces of one object come in order; pieces of several may be mixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectPiece {
    /// Place of the object in the list of ids that was asked for.
    pub(crate) index: usize,
    /// Whether this piece is the last of the object.
    pub(crate) last: bool,
    /// The object's bytes in this piece.
    pub(crate) bytes: Bytes,
}
