//! What the HTTP and TLS libraries say, read into kinds a person and a program can act on.

use std::path::Path;

use rustls::CertificateError;
use ureq::{Error, Timeout};

use super::HttpsOptions;
use super::error::HttpsError;
use crate::util::text;

/// Whether the whole conversation's deadline has passed.
pub(super) fn is_deadline(error: &Error) -> bool {
    matches!(error, Error::Timeout(Timeout::Global))
}

/// Whether a connection that was open has turned out to be ended by the server.
pub(super) fn is_stale(error: &Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let ended = [
        BrokenPipe,
        ConnectionAborted,
        ConnectionReset,
        UnexpectedEof,
    ];
    matches!(error, Error::Io(error) if ended.contains(&error.kind()))
}

/// The kind of `error`.
pub(super) fn classify(error: Error, options: &HttpsOptions) -> HttpsError {
    let proxy = options.proxy.as_ref().map(|proxy| shown(proxy.uri()));
    match error {
        Error::Io(error) => {
            let inner = error.get_ref();
            if let Some(tls) = inner.and_then(|e| e.downcast_ref::<rustls::Error>()) {
                return of_tls(tls, &options.ca_file);
            }
            let why = text::line(error.to_string().as_bytes());
            // The standard library's own words; the resolver's have no kind.
            if why.contains("lookup address information") {
                return HttpsError::Unresolved { why, proxy };
            }
            HttpsError::Unreachable { why, proxy }
        }
        Error::Rustls(tls) => of_tls(&tls, &options.ca_file),
        Error::HostNotFound => HttpsError::Unresolved {
            why: "it has no address".into(),
            proxy,
        },
        Error::ConnectProxyFailed(why) => HttpsError::Proxy {
            proxy: proxy.unwrap_or_default(),
            why: text::line(why.as_bytes()),
        },
        error @ (Error::Protocol(_) | Error::LargeResponseHeader(..) | Error::BodyStalled) => {
            HttpsError::NotHttp {
                why: text::line(error.to_string().as_bytes()),
            }
        }
        Error::Timeout(_) => HttpsError::Unreachable {
            why: format!("no connection within {} s", options.connect_timeout),
            proxy,
        },
        other => HttpsError::Unreachable {
            why: text::line(other.to_string().as_bytes()),
            proxy,
        },
    }
}

fn of_tls(error: &rustls::Error, roots: &Path) -> HttpsError {
    let rustls::Error::InvalidCertificate(what) = error else {
        return HttpsError::Tls {
            why: text::line(error.to_string().as_bytes()),
        };
    };
    let advice = match what {
        CertificateError::UnknownIssuer => {
            return HttpsError::UnknownAuthority {
                roots: roots.to_owned(),
            };
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired: the forge must renew it, unless this host's clock is wrong"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet: is this host's clock wrong?"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another host name: check the address; somebody may be between us and the server"
        }
        CertificateError::BadSignature => {
            "it bears the name of an authority that is trusted, and is signed with another key: if the forge has renewed its own authority, ca_file needs the new certificate; if not, somebody is between us and the server"
        }
        CertificateError::Revoked => "it has been revoked",
        _ => "it is not fit for a server",
    };
    HttpsError::Certificate {
        why: text::line(format!("{advice} ({what})").as_bytes()),
    }
}

/// A proxy's address without a user, should it ever have one.
fn shown(uri: &ureq::http::Uri) -> String {
    format!(
        "{}:{}",
        uri.host().unwrap_or_default(),
        uri.port_u16().unwrap_or(80)
    )
}
