//! A connection: by name or through a proxy, then TLS, then HTTP/1.1.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{Client, Url};

/// The most bytes read of a file of certificates; Debian's file has 220 kB.
const LARGEST: u64 = 4 << 20;

type Body = Full<Bytes>;

/// What sends, and what drives the connection meanwhile.
type Connection = (
    SendRequest<Body>,
    std::pin::Pin<Box<dyn Future<Output = ()> + Send>>,
);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens a connection to the server of `url`.
///
/// # Errors
/// Why there is none, in words.
pub(crate) async fn open(client: &Client, url: &Url) -> Result<Connection, String> {
    let words = |error: std::io::Error| error.to_string();
    if !url.is_encrypted() {
        let tcp = TcpStream::connect((url.host(), url.port())).await;
        return begin(tcp.map_err(words)?).await;
    }
    let stream: Box<dyn Stream> = match &client.proxy {
        None => Box::new(
            TcpStream::connect((url.host(), url.port()))
                .await
                .map_err(words)?,
        ),
        Some(proxy) => Box::new(through(proxy, url).await?),
    };
    let name = ServerName::try_from(url.host().to_owned()).map_err(|error| error.to_string())?;
    let tls = client.tls().map_err(|error| error.to_string())?;
    let tls = TlsConnector::from(tls);
    begin(tls.connect(name, stream).await.map_err(words)?).await
}

async fn begin(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<Connection, String> {
    let opened = http1::handshake(TokioIo::new(stream)).await;
    let (sender, driver) = opened.map_err(|error| error.to_string())?;
    let driver = async move {
        // An error of the connection is reported by the request that waits for its answer.
        let _ = driver.with_upgrades().await;
    };
    Ok((sender, Box::pin(driver)))
}

/// Asks the proxy to connect to the server.
async fn through(proxy: &Url, url: &Url) -> Result<TokioIo<hyper::upgrade::Upgraded>, String> {
    let refused = |why: String| format!("the proxy {}: {why}", proxy.authority());
    let tcp = TcpStream::connect((proxy.host(), proxy.port())).await;
    let tcp = tcp.map_err(|error| refused(error.to_string()))?;
    let (mut sender, driver) = begin(tcp).await.map_err(refused)?;
    tokio::spawn(driver);
    let target = format!("{}:{}", url.authority().host(), url.port());
    let request = hyper::Request::connect(&target).header(HOST, &target);
    let request = request.body(Body::new(Bytes::new()));
    let request = request.map_err(|error| refused(error.to_string()))?;
    let answer = sender.send_request(request).await;
    let answer = answer.map_err(|error| refused(error.to_string()))?;
    if !answer.status().is_success() {
        return Err(refused(format!("status {}", answer.status())));
    }
    let upgraded = hyper::upgrade::on(answer).await;
    Ok(TokioIo::new(
        upgraded.map_err(|error| refused(error.to_string()))?,
    ))
}

/// Gives a TLS configuration that trusts only the certificates in `file`.
///
/// # Errors
/// What is wrong with the file, in words.
pub fn trust(file: &Path) -> Result<Arc<ClientConfig>, String> {
    let mut text = Vec::new();
    let read = File::open(file).and_then(|opened| opened.take(LARGEST).read_to_end(&mut text));
    read.map_err(|error| error.to_string())?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| format!("it is not PEM as it should be: {error}"))?;
    if found.is_empty() {
        return Err("it holds no certificate".to_owned());
    }
    let mut roots = RootCertStore::empty();
    // A certificate that this library does not understand is skipped; the others count.
    roots.add_parsable_certificates(found);
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
