//! The options of a conversation with a remote.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::https::HttpsOptions;
use super::https::kept::HttpsConnections;
use super::multiplex::Connections;
use super::ssh::SshOptions;

/// All settings of a conversation except the address.
#[derive(Debug, Clone)]
pub(crate) struct RemoteOptions {
    /// How ssh is run.
    pub ssh: SshOptions,
    /// Connections of ssh that conversations share, where they do.
    pub connections: Option<Arc<Connections>>,
    /// Connections over https that stay open from one conversation to the next, where they do.
    pub https_connections: Option<Arc<HttpsConnections>>,
    /// How git over https is spoken.
    pub https: HttpsOptions,
    /// The git program that serves repositories on this machine.
    pub git: PathBuf,
    /// The time from the start of the transport to its end; then its whole process group is killed, or its
    /// connection closed.
    pub deadline: Duration,
    /// The most bytes taken from the remote in one conversation, the pack included.
    pub budget: u64,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            ssh: SshOptions::default(),
            connections: None,
            https_connections: None,
            https: HttpsOptions::default(),
            git: "git".into(),
            deadline: Duration::from_secs(600),
            budget: 2 << 30,
        }
    }
}
