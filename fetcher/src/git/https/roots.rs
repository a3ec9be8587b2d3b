//! The trusted authorities: a server's certificate must be signed by one of them.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::error::HttpsError;

/// The most bytes read of a file of certificates; Debian's file has 220 kB.
const LARGEST: u64 = 4 << 20;

/// Returns a TLS configuration that trusts only the certificates in `file`.
///
/// # Errors
/// [`HttpsError::Roots`].
pub(super) fn tls(file: &Path) -> Result<Arc<ClientConfig>, HttpsError> {
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
    let mut roots = RootCertStore::empty();
    // As with Debian's own file, a certificate that this library does not understand is skipped; the others count.
    roots.add_parsable_certificates(found);
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
