//! Connections to servers that stay open from one conversation to the next. Most of the time of a poll over https is the
//! TLS handshake.
//!
//! A kept connection is never needed: one that the server has ended, or over which no answer comes, is replaced by a new
//! one. It is bound to a server, a proxy and a file of authorities as that file was; tokens are sent with each request,
//! so a connection knows none.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::HttpsOptions;
use super::line::Line;
use crate::git::multiplex::IDLE;
use crate::git::url::RepositoryUrl;
use crate::util::stamp::Stamp;
use crate::util::sync::lock;

/// The most connections to one server that are kept.
const MOST: usize = 8;

/// What two conversations must have in common to use the same connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct HttpsServer {
    host: String,
    proxy: Option<String>,
    ca_file: PathBuf,
}

impl HttpsServer {
    /// Returns the server of a repository; `None` if it is not reached by https.
    #[must_use]
    pub(crate) fn of(url: &RepositoryUrl, options: &HttpsOptions) -> Option<Self> {
        let RepositoryUrl::Https { host, .. } = url else {
            return None;
        };
        Some(Self::new(host, options))
    }

    pub(super) fn new(host: &str, options: &HttpsOptions) -> Self {
        Self {
            host: host.to_owned(),
            proxy: options.proxy.as_ref().map(ToString::to_string),
            ca_file: options.ca_file.clone(),
        }
    }
}

/// A connection that waits for its next conversation.
struct Kept {
    line: Line,
    /// The file of authorities as it was before it was read.
    roots: Option<Stamp>,
    since: Instant,
}

/// The kept connections of this process, to these servers alone.
pub(crate) struct HttpsConnections {
    servers: HashSet<HttpsServer>,
    kept: Mutex<HashMap<HttpsServer, Vec<Kept>>>,
}

impl std::fmt::Debug for HttpsConnections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(&self.servers).finish()
    }
}

impl HttpsConnections {
    /// Provides for connections to these servers. None is opened before it is needed.
    #[must_use]
    pub(crate) fn new(servers: impl IntoIterator<Item = HttpsServer>) -> Arc<Self> {
        Arc::new(Self {
            servers: servers.into_iter().collect(),
            kept: Mutex::default(),
        })
    }

    /// Takes a connection to `server` that was made with the authorities that its file has now.
    pub(super) fn take(&self, server: &HttpsServer, roots: Option<Stamp>) -> Option<Line> {
        let mut kept = lock(&self.kept);
        remove_idle(&mut kept);
        let of_server = kept.get_mut(server)?;
        // A connection made with other authorities is closed.
        of_server.retain(|kept| kept.roots.is_some() && kept.roots == roots);
        of_server.pop().map(|kept| kept.line)
    }

    /// Keeps a connection for the next conversation with `server`.
    pub(super) fn put(&self, server: &HttpsServer, roots: Option<Stamp>, line: Line) {
        if !self.servers.contains(server) {
            return;
        }
        let mut kept = lock(&self.kept);
        remove_idle(&mut kept);
        let of_server = kept.entry(server.clone()).or_default();
        if of_server.len() < MOST {
            of_server.push(Kept {
                line,
                roots,
                since: Instant::now(),
            });
        }
    }
}

fn remove_idle(kept: &mut HashMap<HttpsServer, Vec<Kept>>) {
    for of_server in kept.values_mut() {
        of_server.retain(|kept| kept.since.elapsed() < IDLE);
    }
}
