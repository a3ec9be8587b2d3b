//! Converts the errors of the HTTP and TLS libraries into kinds that a person and a program can act on.

use std::error::Error as _;
use std::io;
use std::path::Path;

use rustls::CertificateError;

use super::HttpsOptions;
use super::error::HttpsError;
use super::proxy::Proxy;
use crate::util::text;

/// Returns the kind of an error of the connection.
pub(super) fn of_io(error: &io::Error, options: &HttpsOptions) -> HttpsError {
    let inner = error.get_ref();
    if let Some(tls) = inner.and_then(|e| e.downcast_ref::<rustls::Error>()) {
        return of_tls(tls, &options.ca_file);
    }
    let proxy = options.proxy.as_ref().map(Proxy::to_string);
    let why = text::line(error.to_string().as_bytes());
    // The words are the standard library's; the resolver's errors have no kind of their own.
    if why.contains("lookup address information") {
        return HttpsError::Unresolved { why, proxy };
    }
    HttpsError::Unreachable { why, proxy }
}

/// Returns the kind of an error of HTTP.
pub(super) fn of_http(error: &hyper::Error, options: &HttpsOptions) -> HttpsError {
    if let Some(error) = io_of(error) {
        return of_io(error, options);
    }
    let why = text::line(error.to_string().as_bytes());
    if error.is_parse() {
        return HttpsError::NotHttp { why };
    }
    HttpsError::Unreachable {
        why,
        proxy: options.proxy.as_ref().map(Proxy::to_string),
    }
}

/// Returns the connection's error that caused an error of HTTP, if there is one.
pub(super) fn io_of(error: &hyper::Error) -> Option<&io::Error> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        source = error.source();
    }
    None
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
