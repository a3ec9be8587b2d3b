//! An address of https, or of plain http on this host.

use std::fmt;

use hyper::Uri;
use hyper::http::uri::Authority;
use thiserror::Error;

/// An address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    authority: Authority,
    path: String,
    encrypted: bool,
}

/// Why a text is no address that is asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UrlError {
    /// It has not the form of one.
    #[error("it is no address such as https://host/path")]
    Form,
    /// It names a user, whose secret would go into logs.
    #[error("it has a user in it: write the secret into a file of its own")]
    User,
    /// It is not encrypted, and leads to another host.
    #[error(
        "it is plain http, which is only taken for this host itself (127.0.0.1, [::1], localhost): use https"
    )]
    Plain,
}

impl Url {
    /// Reads an address.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn parse(written: &str) -> Result<Self, UrlError> {
        let uri: Uri = written.trim().parse().map_err(|_| UrlError::Form)?;
        let authority = uri.authority().ok_or(UrlError::Form)?.clone();
        if authority.as_str().contains('@') {
            return Err(UrlError::User);
        }
        let encrypted = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(UrlError::Form),
        };
        if !encrypted && !matches!(authority.host(), "127.0.0.1" | "[::1]" | "localhost") {
            return Err(UrlError::Plain);
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            authority,
            path: path.to_owned(),
            encrypted,
        })
    }

    /// Reads the address of a proxy, `http://host:port`.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn parse_proxy(written: &str) -> Result<Self, UrlError> {
        let uri: Uri = written.trim().parse().map_err(|_| UrlError::Form)?;
        let authority = uri.authority().ok_or(UrlError::Form)?.clone();
        if authority.as_str().contains('@') {
            return Err(UrlError::User);
        }
        if uri.scheme_str() != Some("http") || authority.port_u16().is_none() {
            return Err(UrlError::Form);
        }
        Ok(Self {
            authority,
            path: "/".to_owned(),
            encrypted: false,
        })
    }

    /// The same server with `more` at the end of the path. Each of its parts is encoded, so that no text leads elsewhere.
    #[must_use]
    pub fn join(&self, more: &[&str]) -> Self {
        let mut path = self.path.trim_end_matches('/').to_owned();
        for part in more {
            path.push('/');
            path.push_str(&encode(part));
        }
        Self {
            path,
            ..self.clone()
        }
    }

    /// The same address with a query. Names and values are encoded.
    #[must_use]
    pub fn query(&self, pairs: &[(&str, &str)]) -> Self {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        Self {
            path: format!("{}?{}", self.path, pairs.join("&")),
            ..self.clone()
        }
    }

    /// Host and port, as written.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The path with its query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        let usual = if self.encrypted { 443 } else { 80 };
        self.authority.port_u16().unwrap_or(usual)
    }

    /// The host, without the brackets of an IPv6 address.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.authority.host();
        let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        inner.unwrap_or(host)
    }
}

/// Only the server is shown: the path of a webhook is a secret.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.encrypted { "https" } else { "http" };
        write!(f, "{scheme}://{}/\u{2026}", self.authority)
    }
}

/// Encodes all but RFC 3986's unreserved characters.
fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_encrypted_or_of_this_host_and_names_no_user() {
        for good in [
            "https://hooks.example.org/services/T/B/x?y=1",
            "http://127.0.0.1:8080/x",
            "http://[::1]:80/",
            "https://host",
        ] {
            assert!(Url::parse(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("http://hooks.example.org/x", UrlError::Plain),
            ("http://127.0.0.1.example.org/", UrlError::Plain),
            ("https://me:secret@host/x", UrlError::User),
            ("ftp://host/x", UrlError::Form),
            ("/x", UrlError::Form),
            ("https://a b/", UrlError::Form),
            ("", UrlError::Form),
        ] {
            assert_eq!(Url::parse(bad).unwrap_err(), why, "{bad}");
        }
    }

    #[test]
    fn a_part_of_a_path_stays_one_part_and_the_path_is_not_shown() {
        let url = Url::parse("https://host/api/").unwrap();
        let joined = url.join(&["projects", "a/b ?c", ".."]);
        assert_eq!(joined.path(), "/api/projects/a%2Fb%20%3Fc/..");
        let asked = joined.query(&[("ref", "x&y=\u{e4}")]);
        assert!(
            asked.path().ends_with("?ref=x%26y%3D%C3%A4"),
            "{}",
            asked.path()
        );
        assert_eq!(url.to_string(), "https://host/\u{2026}");
    }
}
