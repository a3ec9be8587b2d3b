//! The trusted authorities: a server's certificate must be signed by one of them.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;

use super::error::HttpsError;

/// Returns a TLS configuration that trusts only the certificates in `file`.
///
/// # Errors
/// [`HttpsError::Roots`].
pub(super) fn tls(file: &Path) -> Result<Arc<ClientConfig>, HttpsError> {
    pp_web::trust(file).map_err(|why| HttpsError::Roots {
        file: file.to_owned(),
        why,
    })
}
