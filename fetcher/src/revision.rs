//! What is deployed.

/// A revision: a commit, by its id.
pub(crate) type Revision = pp_objects::ObjectId;
