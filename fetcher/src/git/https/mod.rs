//! Git over https: one GET for the greeting, one POST for each request (gitprotocol-http(5)).
//!
//! ```text
//!  options ──▶ token   read at each connection, sent to the repository's own host alone
//!         └──▶ roots   the authorities a certificate may be signed by
//!  wire    ──▶ stream ──▶ connect, http     writing collects, flushing asks, reading is the answer
//!                    ├──▶ redirect           where a moved repository may be followed to
//!                    └──▶ failure ──▶ error   what a person sees
//! ```
//!
//! Everything is of the configuration: no environment variable, no `~/.netrc`, no git setting
//! changes where a token goes.

mod connect;
pub(crate) mod error;
mod failure;
mod proxy;
mod redirect;
mod roots;
mod stream;
pub(crate) mod token;

use std::path::PathBuf;

pub(crate) use error::HttpsError;
pub(crate) use proxy::Proxy;
pub(crate) use stream::Https;

/// Where Debian keeps the authorities that everybody trusts (package ca-certificates).
pub(crate) const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The user name beside a token. Most forges look at the token alone; this is the name that GitHub
/// wants for the tokens of an installed app.
pub(crate) const USERNAME: &str = "x-access-token";

/// How https is spoken.
#[derive(Debug, Clone)]
pub(crate) struct HttpsOptions {
    /// File with the token; without it nothing is sent that says who we are.
    pub token_file: Option<PathBuf>,
    /// The user name the token is sent with.
    pub username: String,
    /// The authorities a server's certificate may be signed by, as PEM.
    pub ca_file: PathBuf,
    /// An http proxy that is asked to CONNECT.
    pub proxy: Option<Proxy>,
    /// Seconds to reach the server, the TLS handshake included.
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
