//! What two conversations must have in common to share a connection.

use std::process::Command;

use crate::git::ssh::{PathRefused, SshOptions};
use crate::git::url::RepositoryUrl;

/// A server, as one user with one key and one configuration reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Destination {
    /// How ssh is run.
    pub ssh: SshOptions,
    /// The user name at the server, if the address has one.
    pub user: Option<String>,
    /// The server's name, or its alias in the ssh configuration.
    pub host: String,
    /// The server's port, if the address has one.
    pub port: Option<u16>,
}

impl Destination {
    /// Gives the destination of a repository; `None` if it is not reached by ssh.
    #[must_use]
    pub(crate) fn of(url: &RepositoryUrl, ssh: &SshOptions) -> Option<Self> {
        let RepositoryUrl::Ssh {
            user, host, port, ..
        } = url
        else {
            return None;
        };
        Some(Self {
            ssh: ssh.clone(),
            user: user.clone(),
            host: host.clone(),
            port: *port,
        })
    }

    /// Returns the ssh command towards the destination: [`SshOptions::towards`].
    ///
    /// # Errors
    /// [`PathRefused`] for a path that ssh's own expansion would change.
    pub(super) fn ssh(&self, switches: &[&str]) -> Result<Command, PathRefused> {
        let user = self.user.as_deref();
        self.ssh.towards(switches, user, &self.host, self.port)
    }
}
