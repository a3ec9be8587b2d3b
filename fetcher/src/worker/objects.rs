//! Objects by their ids, as the rest of the program asks for them.

use bytes::Bytes;
use pp_objects::{Kind, ObjectId};

use super::error::WorkerError;

/// Where objects come from: the worker.
pub(crate) trait Objects {
    /// The content of each of these objects, proven by its name.
    ///
    /// # Errors
    /// An object cannot be had, or is another one.
    fn read(&mut self, kind: Kind, ids: &[ObjectId]) -> Result<Vec<Vec<u8>>, WorkerError>;

    /// How long each of these blobs is said to be. Not proven.
    ///
    /// # Errors
    /// A blob cannot be had.
    fn sizes(&mut self, ids: &[ObjectId]) -> Result<Vec<u64>, WorkerError>;

    /// Hands over each of these blobs, piece by piece, until `take` wants no more. Not proven.
    ///
    /// # Errors
    /// A blob cannot be had.
    fn stream(
        &mut self,
        ids: &[ObjectId],
        take: &mut dyn FnMut(ObjectPiece) -> bool,
    ) -> Result<(), WorkerError>;
}

/// A piece of one of several objects. Those of one object come in order, those of several mixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectPiece {
    /// Place of the object in the list that was asked for.
    pub(crate) index: usize,
    /// Whether the object ends with it.
    pub(crate) last: bool,
    /// The bytes.
    pub(crate) bytes: Bytes,
}
