//! Errors of a conversation over https: each says what happened, why, and what to do.

use std::path::PathBuf;

use thiserror::Error;

use super::token::TokenError;

/// Why a conversation over https failed. The message that a person sees begins with the remote's address.
#[derive(Debug, Error)]
pub(crate) enum HttpsError {
    /// The token cannot be read.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The file of trusted authorities cannot be read.
    #[error(
        "the authorities to trust cannot be read from {}: {why}; install ca-certificates, or name the forge's own authority with ca_file under [https], as PEM",
        file.display()
    )]
    Roots {
        /// The file.
        file: PathBuf,
        /// What is wrong with the file.
        why: String,
    },
    /// The host's name has no address.
    #[error(
        "the host's name cannot be resolved ({why}): check the address and the resolver{}",
        by(proxy)
    )]
    Unresolved {
        /// What the resolver said.
        why: String,
        /// The proxy, if there is one: the name may be that of the proxy.
        proxy: Option<String>,
    },
    /// The connection could not be made, or it broke.
    #[error(
        "the server cannot be reached or the connection broke ({why}): tried again at the next poll{}",
        by(proxy)
    )]
    Unreachable {
        /// What the kernel or the library said.
        why: String,
        /// The proxy that was asked for the connection, if there is one.
        proxy: Option<String>,
    },
    /// The proxy refuses to connect to the server.
    #[error(
        "the proxy {proxy} does not let us through ({why}): ask whoever runs it, or change proxy under [https]"
    )]
    Proxy {
        /// The proxy's address.
        proxy: String,
        /// What the proxy said.
        why: String,
    },
    /// The server's certificate is signed by no trusted authority.
    #[error(
        "the server's certificate is signed by nobody that {} lists; nothing was sent. If the forge has an authority of its own, name its certificate with ca_file under [https]; if it has a public certificate, somebody is between us and it",
        roots.display()
    )]
    UnknownAuthority {
        /// The file of trusted authorities.
        roots: PathBuf,
    },
    /// The server's certificate is refused for another reason.
    #[error("the server's certificate is refused: {why}; nothing was sent")]
    Certificate {
        /// What is wrong with the certificate, and what to do.
        why: String,
    },
    /// No TLS connection can be made with this server.
    #[error(
        "no encrypted connection with the server ({why}): does it speak https (TLS 1.2 or 1.3) on this port?"
    )]
    Tls {
        /// What the library said.
        why: String,
    },
    /// The server asks for a token, or refuses access with the token that was sent.
    #[error("{}", refused(*status, *token))]
    Denied {
        /// The status: 401 or 403.
        status: u16,
        /// Whether a token was sent.
        token: bool,
    },
    /// The server has no such repository, or does not show it to pp-fetcher.
    #[error("{}", missing(*token))]
    NoRepository {
        /// Whether a token was sent.
        token: bool,
    },
    /// The server answers with a redirection that is not followed.
    #[error(
        "the server sends us to {to}, where nothing was sent: only a repository that moved on the same server is followed. If you trust that address, make it the app's repository"
    )]
    Redirected {
        /// The address of the redirection, without user and query.
        to: String,
    },
    /// The server answers with a status that a git server does not give.
    #[error("the server answers with status {status}{}", advice(*status))]
    Status {
        /// The status.
        status: u16,
    },
    /// The server is not a git server.
    #[error(
        "there is no git server at this address: the answer is {found}, not {wanted}. Check the address; git's smart protocol is needed, files alone do not do"
    )]
    NotGit {
        /// The content type of the answer.
        found: String,
        /// The content type that git's answer has.
        wanted: &'static str,
    },
    /// The answer is not HTTP.
    #[error("the answer is not HTTP ({why}): check host and port")]
    NotHttp {
        /// What is wrong with the answer.
        why: String,
    },
}

impl HttpsError {
    /// Whether the server refuses access, with the token or without one.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Denied { .. } | Self::NoRepository { .. } | Self::Token(_)
        )
    }
}

fn by(proxy: &Option<String>) -> String {
    match proxy {
        Some(proxy) => format!("; it was asked for through the proxy {proxy}"),
        None => String::new(),
    }
}

fn refused(status: u16, token: bool) -> String {
    match (status, token) {
        (401, true) => "the server refuses our token (status 401): has it expired or been revoked? Have a new one made at the forge and write it into token_file".into(),
        (401, false) => "the server wants to know who we are (status 401), and no token is configured: write one into a file and name it with token_file under [https]. Some forges answer so where there is no such repository, too".into(),
        (_, true) => format!("the server knows our token and does not let it read this repository (status {status}): give it the right to read the contents, or is this address blocked at the forge?"),
        (_, false) => format!("the server does not let us read this repository (status {status}), and no token is configured: name one with token_file under [https]"),
    }
}

fn missing(token: bool) -> &'static str {
    if token {
        "there is no such repository, or our token may not see it: check the path and which repositories the token is for"
    } else {
        "there is no such repository, or it is not public and no token is configured: check the path, or name a token with token_file under [https]"
    }
}

fn advice(status: u16) -> &'static str {
    match status {
        429 => ": too many requests; poll less often (`interval` of the app's file)",
        451 => ": the forge is kept by law from giving this repository out; its owner knows more",
        500.. => ": it has trouble of its own; tried again at the next poll",
        _ => ": that is none a git server gives; check the address",
    }
}
