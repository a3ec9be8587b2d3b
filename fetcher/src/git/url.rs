//! Addresses of repositories: the forms that git itself takes, checked before any program is given them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// A repository's address, free of anything that could be taken for an option or a second command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RepositoryUrl {
    /// `[user@]host:path` or `ssh://[user@]host[:port]/path`. The host may be an alias of
    /// `ssh_config(5)`.
    Ssh {
        /// The user name, if the address has one.
        user: Option<String>,
        /// The host's name, IP address or alias.
        host: String,
        /// The port, if the address has one.
        port: Option<u16>,
        /// The path as it is handed to the server's `git-upload-pack`.
        path: String,
    },
    /// `file:///path` or an absolute path: a repository on this machine.
    File {
        /// The repository's directory.
        path: PathBuf,
    },
    /// `https://host[:port]/path`.
    Https {
        /// Host and port as written.
        host: String,
        /// The path as written, with its leading slash.
        path: String,
    },
}

/// The advice for a password in an address.
const SECRETS: &str = "secrets come from key files or the agent only";

/// Why an address is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum UrlError {
    /// The address has none of the known forms.
    #[error(
        "the repository address {0:?} is of no known form: write host:path, ssh://[user@]host[:port]/path, https://host/path, file:///path or an absolute path"
    )]
    Form(String),
    /// The address has a scheme that is not supported.
    #[error("the repository address has the scheme {0:?}: use ssh, https or file")]
    Scheme(String),
    /// A part of the address is empty, begins with `-`, or holds characters that do not belong in it.
    #[error("the repository address has a {what} that is refused: {why}")]
    Part {
        /// Which part of the address.
        what: &'static str,
        /// What is wrong with the part.
        why: &'static str,
    },
}

impl RepositoryUrl {
    /// Parses an address.
    ///
    /// # Errors
    /// [`UrlError`] says what is wrong. A password in the address is refused and not repeated in the error.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        if text.chars().any(char::is_control) {
            return Err(part("character", "control characters do not belong there"));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return match scheme {
                "ssh" => ssh(rest),
                "file" => file(&decode(rest)?),
                "https" => https(rest),
                "http" => Err(part("scheme", "http is not encrypted: use https")),
                other => Err(UrlError::Scheme(other.to_owned())),
            };
        }
        if text.starts_with('/') {
            return file(text);
        }
        scp_like(text)
    }
}

impl FromStr for RepositoryUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text)
    }
}

/// Writes the address without the user (rule 33).
impl fmt::Display for RepositoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ssh {
                host,
                port: None,
                path,
                ..
            } => write!(f, "{host}:{path}"),
            Self::Ssh {
                host,
                port: Some(port),
                path,
                ..
            } => {
                let slash = if path.starts_with('/') { "" } else { "/" };
                if host.contains(':') {
                    write!(f, "ssh://[{host}]:{port}{slash}{path}")
                } else {
                    write!(f, "ssh://{host}:{port}{slash}{path}")
                }
            }
            Self::File { path } => write!(f, "file://{}", path.display()),
            Self::Https { host, path } => write!(f, "https://{host}{path}"),
        }
    }
}

fn part(what: &'static str, why: &'static str) -> UrlError {
    UrlError::Part { what, why }
}

/// Parses the forms `alias:path`, `user@host:path` and `user@[::1]:path`.
fn scp_like(text: &str) -> Result<RepositoryUrl, UrlError> {
    // Only the text after a possible user and password is repeated in an error.
    let form = || UrlError::Form(text.rsplit('@').next().unwrap_or_default().to_owned());
    let (login, path) = match text.find("]:") {
        Some(end) if text.contains('[') => {
            let (login, path) = text.split_at(end + 1);
            (login, path.trim_start_matches(':'))
        }
        _ => text.split_once(':').ok_or_else(form)?,
    };
    if login.contains('/') || path.starts_with(':') {
        // The text is a relative path, or a remote helper (`ext::sh -c …`).
        return Err(form());
    }
    if path
        .split_once('@')
        .is_some_and(|(_, host)| host.contains(':'))
    {
        // `user:password@host:path` would otherwise be shown as host `user` with the rest as path.
        return Err(part("password", SECRETS));
    }
    let (user, host) = login_of(login)?;
    Ok(RepositoryUrl::Ssh {
        user,
        host,
        port: None,
        path: checked_path(path)?,
    })
}

fn ssh(rest: &str) -> Result<RepositoryUrl, UrlError> {
    let (authority, path) = rest
        .split_once('/')
        .ok_or_else(|| part("path", "it is missing"))?;
    let after_user = authority.rfind('@').map_or(0, |at| at + 1);
    let host_part = authority.get(after_user..).unwrap_or_default();
    let colon = host_part
        .rfind(':')
        .filter(|&at| !host_part.get(at..).unwrap_or_default().contains(']'));
    let (login, port) = match colon {
        Some(at) => {
            let (login, port) = authority.split_at(after_user + at);
            let port = port.trim_start_matches(':').parse::<u16>();
            (
                login,
                Some(port.map_err(|_| part("port", "it is no number from 1 to 65535"))?),
            )
        }
        None => (authority, None),
    };
    if port == Some(0) {
        return Err(part("port", "it is no number from 1 to 65535"));
    }
    let (user, host) = login_of(login)?;
    let path = decode(path)?;
    // git gives the server `~user/path` for `/~user/path`.
    let path = if path.starts_with('~') {
        path
    } else {
        format!("/{path}")
    };
    if path == "/" {
        return Err(part("path", "it is missing"));
    }
    Ok(RepositoryUrl::Ssh {
        user,
        host,
        port,
        path: checked_path(&path)?,
    })
}

fn file(path: &str) -> Result<RepositoryUrl, UrlError> {
    if !path.starts_with('/') {
        return Err(part(
            "path",
            "a file address has three slashes: file:///path",
        ));
    }
    Ok(RepositoryUrl::File {
        path: checked_path(path)?.into(),
    })
}

fn https(rest: &str) -> Result<RepositoryUrl, UrlError> {
    let (authority, path) = rest
        .split_once('/')
        .ok_or_else(|| part("path", "it is missing"))?;
    if authority.contains('@') {
        return Err(part(
            "user",
            "no user or password in the address: write the token into a file and name it with token_file under [https]",
        ));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port != 0)) {
        return Err(part("port", "it is no number from 1 to 65535"));
    }
    match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(address) => checked_host(address)?,
        None if host.contains(':') => return Err(part("host", "an IPv6 address stands in []")),
        None => checked_host(host)?,
    }
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '"' | '<' | '>' | '\\');
    if !path.chars().all(fits) {
        return Err(part(
            "path",
            "write blanks, ? and # and letters beyond ASCII as % and two hexadecimal digits",
        ));
    }
    let path = checked_path(path.trim_end_matches('/'))?;
    Ok(RepositoryUrl::Https {
        host: authority.to_owned(),
        path: format!("/{path}"),
    })
}

fn login_of(login: &str) -> Result<(Option<String>, String), UrlError> {
    let (user, host) = match login.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, login),
    };
    if let Some(user) = user {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '@');
        if user.contains(':') {
            return Err(part("password", SECRETS));
        }
        if user.is_empty() || user.starts_with('-') || !user.chars().all(fits) {
            return Err(part(
                "user",
                "letters, digits and . _ + - only, not - first",
            ));
        }
    }
    let host = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    checked_host(host)?;
    Ok((user.map(str::to_owned), host.to_owned()))
}

fn checked_host(host: &str) -> Result<(), UrlError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
    if host.is_empty() || host.starts_with('-') || !host.chars().all(fits) {
        return Err(part("host", "letters, digits and . _ - only, not - first"));
    }
    Ok(())
}

fn checked_path(path: &str) -> Result<String, UrlError> {
    if path.is_empty() {
        return Err(part("path", "it is missing"));
    }
    if path.starts_with('-') {
        return Err(part(
            "path",
            "it begins with - and would pass for an option",
        ));
    }
    if path.chars().any(char::is_control) {
        return Err(part("path", "control characters do not belong there"));
    }
    Ok(path.to_owned())
}

/// Decodes percent-encoding, as git does for addresses with a scheme.
fn decode(text: &str) -> Result<String, UrlError> {
    let bad = || {
        part(
            "path",
            "a % is not followed by two hexadecimal digits of UTF-8",
        )
    };
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || {
                let digit = bytes.next().map(char::from).and_then(|c| c.to_digit(16));
                digit.and_then(|d| u8::try_from(d).ok()).ok_or_else(bad)
            };
            out.push(digit()? << 4 | digit()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).map_err(|_| bad())
}
