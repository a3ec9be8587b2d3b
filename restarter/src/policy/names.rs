//! Turns the names of users and groups into ids, once, when the policy is loaded.

use nix::unistd::{Group, User};

/// A name service, which looks up the names of users and groups.
pub trait Names {
    /// Returns the id of a user, or `None` if there is no such user.
    ///
    /// # Errors
    /// The error of the name service, if it could not answer.
    fn uid(&self, name: &str) -> nix::Result<Option<u32>>;

    /// Returns the id of a group, or `None` if there is no such group.
    ///
    /// # Errors
    /// The error of the name service, if it could not answer.
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

/// Returns whether `id` stands for no particular user or group. Such ids are the kernel's overflow id, which
/// replaces every id that has no number in this user namespace, its 16-bit forerunner, and -1.
#[must_use]
pub fn is_nobody(id: u32) -> bool {
    matches!(id, 65_534 | 65_535 | u32::MAX)
}
