//! The settings of `[ssh]`: the files that ssh is called with.

use std::path::PathBuf;

use super::fragment;

/// The files that ssh is called with. A file that is not set is left to ssh's own defaults.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ssh {
    /// The private key of the deploy key.
    pub identity: Option<PathBuf>,
    /// The `known_hosts` file with the pinned host keys.
    pub known_hosts: Option<PathBuf>,
    /// An additional ssh_config file, for host aliases.
    pub config: Option<PathBuf>,
    /// The socket of an ssh-agent.
    pub agent: Option<PathBuf>,
}

impl Ssh {
    /// Fills every file that is not set here from `defaults`.
    #[must_use]
    pub(super) fn over(self, defaults: &Self) -> Self {
        let d = defaults.clone();
        Self {
            identity: self.identity.or(d.identity),
            known_hosts: self.known_hosts.or(d.known_hosts),
            config: self.config.or(d.config),
            agent: self.agent.or(d.agent),
        }
    }
}

impl From<fragment::Ssh> for Ssh {
    fn from(written: fragment::Ssh) -> Self {
        Self {
            identity: written.identity,
            known_hosts: written.known_hosts,
            config: written.config,
            agent: written.agent,
        }
    }
}
