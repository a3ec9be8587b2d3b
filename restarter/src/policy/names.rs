//! Names of users and groups, turned into ids once, when the policy is loaded.

use nix::unistd::{Group, User};

/// Where names are looked up.
pub trait Names {
    /// The id of a user, or `None` if there is no such user.
    ///
    /// # Errors
    /// What the name service said, if it could not answer.
    fn uid(&self, name: &str) -> nix::Result<Option<u32>>;

    /// The id of a group, or `None` if there is no such group.
    ///
    /// # Errors
    /// What the name service said, if it could not answer.
    fn gid(&self, name: &str) -> nix::Result<Option<u32>>;
}

/// The system's own users and groups.
#[derive(Debug, Clone, Copy)]
pub struct System;

impl Names for System {
    fn uid(&self, name: &str) -> nix::Result<Option<u32>> {
        Ok(User::from_name(name)?.map(|user| user.uid.as_raw()))
    }

    fn gid(&self, name: &str) -> nix::Result<Option<u32>> {
        Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()))
    }
}

/// Ids that mean nobody in particular: the kernel's overflow id, which stands for every id that
/// has no number here, its 16-bit forerunner, and -1.
#[must_use]
pub fn is_nobody(id: u32) -> bool {
    matches!(id, 65_534 | 65_535 | u32::MAX)
}
