//! Git over https: one GET for the greeting, one POST for each request (gitprotocol-http(5)).
//!
//! ```text
//!  options ──▶ token   read for each conversation, sent to the repository's own host alone
//!         └──▶ roots   the authorities a certificate may be signed by
//!  wire    ──▶ stream ──▶ line ──▶ connect  writing collects a request, flushing sends it, reading gives the answer
//!                    ├──▶ kept               connections that stay open for the next conversation
//!                    ├──▶ redirect           follows a repository that has moved on the same server
//!                    └──▶ failure ──▶ error   the errors that a person sees
//! ```
//!
//! Every setting comes from pp-fetcher's configuration: no environment variable, no `~/.netrc`, no git setting
//! changes where a token goes.

mod connect;
pub(crate) mod error;
mod failure;
pub(crate) mod kept;
mod line;
mod proxy;
mod redirect;
mod roots;
mod stream;
pub(crate) mod token;

use std::path::PathBuf;

pub(crate) use error::HttpsError;
pub(crate) use proxy::Proxy;
pub(crate) use stream::Https;

/// Debian's file of publicly trusted authorities (package ca-certificates).
pub(crate) const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The user name that is sent with a token. Most forges look at the token alone; this is the name that GitHub
/// wants for the tokens of an installed app.
pub(crate) const USERNAME: &str = "x-access-token";

/// The settings for git over https.
#[derive(Debug, Clone)]
pub(crate) struct HttpsOptions {
    /// The file with the token; without it no authorization is sent.
    pub token_file: Option<PathBuf>,
    /// The user name the token is sent with.
    pub username: String,
    /// The file of authorities that a server's certificate may be signed by, as PEM.
    pub ca_file: PathBuf,
    /// An http proxy that is asked to CONNECT to the server.
    pub proxy: Option<Proxy>,
    /// The seconds that reaching the server may take, the TLS handshake included.
    pub connect_timeout: u16,
}

impl Default for HttpsOptions {
    fn default() -> Self {
        Self {
            token_file: None,
            username: USERNAME.into(),
            ca_file: SYSTEM_ROOTS.into(),
            proxy: None,
            connect_timeout: 20,
        }
    }
}
