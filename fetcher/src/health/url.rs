//! The health URL, which the probe requests: `http://host:port/path` or `unix:/socket:/path`.

use std::fmt;
use std::path::PathBuf;

/// A health URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HealthUrl {
    /// Where to connect.
    pub to: Target,
    /// The path to request, with its query.
    pub path: String,
}

/// Where to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// `host:port`, as written in the URL; the port is 80 if the URL has none.
    Tcp(String),
    /// A Unix socket.
    Unix(PathBuf),
}

impl HealthUrl {
    /// Parses a health URL.
    ///
    /// # Errors
    /// A sentence that names the mistake and the right form.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        const RIGHT: &str = "write it like \"http://127.0.0.1:8000/healthz\" or \"unix:/run/gunicorn/todo.sock:/healthz\"";
        if text.bytes().any(|b| b.is_ascii_control() || b == b' ') || !text.is_ascii() {
            return Err(format!(
                "`{}` holds a blank or a control character",
                text.escape_debug()
            ));
        }
        if let Some(rest) = text.strip_prefix("http://") {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            // The fragment, after `#`, is not sent to a server.
            let path = path.split('#').next().unwrap_or_default();
            let authority = authority_of(authority)
                .ok_or_else(|| format!("`{text}` has no host, or a port that is none; {RIGHT}"))?;
            return Ok(Self {
                to: Target::Tcp(authority),
                path: if path.starts_with('/') {
                    path.to_owned()
                } else {
                    format!("/{path}")
                },
            });
        }
        if let Some(rest) = text.strip_prefix("unix:") {
            let (socket, path) = rest.split_once(":/").unwrap_or((rest, ""));
            if !socket.starts_with('/') {
                return Err(format!("`{text}`: {RIGHT}"));
            }
            return Ok(Self {
                to: Target::Unix(socket.into()),
                path: format!("/{path}"),
            });
        }
        if text.starts_with("https://") {
            return Err(format!(
                "`{text}`: the app is asked on this host, behind its proxy, where there is no TLS; {RIGHT}"
            ));
        }
        Err(format!("`{text}`: {RIGHT}"))
    }
}

/// Gives `host:port`, with port 80 if `written` has no port; `None` if the host or the port is not valid.
fn authority_of(written: &str) -> Option<String> {
    let (host, port) = match written.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (
                format!("[{address}]"),
                port.strip_prefix(':').or(port.is_empty().then_some("80"))?,
            )
        }
        None => {
            let (host, port) = written.split_once(':').unwrap_or((written, "80"));
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
            let name = !host.is_empty() && host.bytes().all(fits);
            (name.then(|| host.to_owned())?, port)
        }
    };
    let number: u16 = port.parse().ok()?;
    (number != 0 && port.bytes().all(|b| b.is_ascii_digit())).then(|| format!("{host}:{number}"))
}

impl fmt::Display for HealthUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.to {
            Target::Tcp(authority) => write!(f, "http://{authority}{}", self.path),
            Target::Unix(socket) => write!(f, "unix:{}:{}", socket.display(), self.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_read_and_written() {
        for (text, shown) in [
            (
                "http://127.0.0.1:8000/healthz?x=1",
                "http://127.0.0.1:8000/healthz?x=1",
            ),
            ("http://localhost", "http://localhost:80/"),
            ("http://[::1]/x", "http://[::1]:80/x"),
            ("http://[::1]:81/x", "http://[::1]:81/x"),
            (
                "unix:/run/todo.sock:/healthz",
                "unix:/run/todo.sock:/healthz",
            ),
            ("unix:/run/todo.sock", "unix:/run/todo.sock:/"),
        ] {
            assert_eq!(HealthUrl::parse(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "localhost:8000",
            "https://x/",
            "http:///x",
            "unix:run/x:/",
            "http://u:p@h/",
            "http://h/a b",
            "ftp://x",
        ] {
            assert!(HealthUrl::parse(text).is_err(), "{text}");
        }
    }
}
