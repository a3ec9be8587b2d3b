//! The authorities a server's certificate may be signed by.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::error::HttpsError;

/// Largest file of certificates in bytes; Debian's has 220 kB.
const LARGEST: u64 = 4 << 20;

/// TLS that trusts what `file` holds, and nothing else.
///
/// # Errors
/// [`HttpsError::Roots`].
pub(super) fn tls(file: &Path) -> Result<TlsConfig, HttpsError> {
    let refused = |why: String| HttpsError::Roots {
        file: file.to_owned(),
        why,
    };
    let mut text = Vec::new();
    let read = File::open(file).and_then(|opened| opened.take(LARGEST).read_to_end(&mut text));
    read.map_err(|e| refused(e.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|e| refused(format!("it is not PEM as it should be: {e}")))?;
    if found.is_empty() {
        return Err(refused("it holds no certificate".into()));
    }
    let found: Vec<_> = found
        .iter()
        .map(|der| Certificate::from_der(der).to_owned())
        .collect();
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&found))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}
