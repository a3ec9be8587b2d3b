//! Connects to a server: by name or through a proxy, then TLS, then HTTP over TLS.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::HOST;
use hyper::http::uri::Authority;
use hyper::{Request, upgrade};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::error::HttpsError;
use super::failure::{of_http, of_io};
use super::proxy::Proxy;
use super::{HttpsOptions, roots};
use crate::http::{Connection, RequestBody};

/// The default port of https.
const PORT: u16 = 443;

/// A stream of bytes to the server, direct or through a proxy.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to one server.
pub(super) struct Connector {
    authority: Authority,
    options: HttpsOptions,
    tls: Arc<ClientConfig>,
}

impl Connector {
    /// Prepares connections to `host`, which may have a port: reads the file of trusted authorities.
    ///
    /// # Errors
    /// [`HttpsError::Roots`], or `host` is not a valid host.
    pub(super) fn new(host: &str, options: &HttpsOptions) -> Result<Self, HttpsError> {
        let authority = host.parse().map_err(|error| HttpsError::Unresolved {
            why: format!("{host}: {error}"),
            proxy: None,
        })?;
        Ok(Self {
            authority,
            options: options.clone(),
            tls: roots::tls(&options.ca_file)?,
        })
    }

    /// Returns the server's name and port, as a request names them.
    pub(super) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Opens a new connection, within the time that is allowed for one.
    ///
    /// # Errors
    /// The reason why the connection could not be made.
    pub(super) async fn connect(&self) -> Result<Connection, HttpsError> {
        let time = Duration::from_secs(self.options.connect_timeout.into());
        match timeout(time, self.connect_at_all()).await {
            Ok(connected) => connected,
            Err(_) => Err(HttpsError::Unreachable {
                why: format!("no connection within {} s", time.as_secs()),
                proxy: self.proxy(),
            }),
        }
    }

    async fn connect_at_all(&self) -> Result<Connection, HttpsError> {
        let port = self.authority.port_u16().unwrap_or(PORT);
        let host = bare(self.authority.host());
        let stream: Box<dyn Stream> = match &self.options.proxy {
            None => Box::new(self.reach(host, port).await?),
            Some(proxy) => {
                let tcp = self.reach(bare(proxy.host()), proxy.port()).await?;
                let target = format!("{}:{port}", self.authority.host());
                Box::new(self.through(proxy, tcp, &target).await?)
            }
        };
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|error| HttpsError::Unresolved {
            why: error.to_string(),
            proxy: self.proxy(),
        })?;
        let tls = TlsConnector::from(Arc::clone(&self.tls));
        let stream = tls.connect(name, stream).await;
        let stream = stream.map_err(|error| of_io(&error, &self.options))?;
        let connection = Connection::open(TokioIo::new(stream)).await;
        connection.map_err(|error| of_http(&error, &self.options))
    }

    /// Opens a TCP connection.
    async fn reach(&self, host: &str, port: u16) -> Result<TcpStream, HttpsError> {
        let found = lookup_host((host, port)).await;
        let addresses: Vec<_> = found
            .map_err(|error| of_io(&error, &self.options))?
            .collect();
        let stream = TcpStream::connect(&addresses[..]).await;
        let stream = stream.map_err(|error| of_io(&error, &self.options))?;
        // Requests are small, and the answer to each is waited for.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    /// Asks the proxy to connect to `target`, and returns the connection.
    async fn through(
        &self,
        proxy: &Proxy,
        tcp: TcpStream,
        target: &str,
    ) -> Result<TokioIo<upgrade::Upgraded>, HttpsError> {
        let refused = |why: String| HttpsError::Proxy {
            proxy: proxy.to_string(),
            why,
        };
        let broken = |error: hyper::Error| refused(error.to_string());
        let request = Request::connect(target).header(HOST, target);
        let request = request.body(RequestBody::new(Bytes::new()));
        let request = request.map_err(|error| refused(error.to_string()))?;
        let mut connection = Connection::open(TokioIo::new(tcp)).await.map_err(broken)?;
        let answer = connection.send(request).await.map_err(broken)?;
        if !answer.status().is_success() {
            return Err(refused(format!("status {}", answer.status())));
        }
        let upgraded = upgrade::on(answer).await.map_err(broken)?;
        Ok(TokioIo::new(upgraded))
    }

    fn proxy(&self) -> Option<String> {
        self.options.proxy.as_ref().map(Proxy::to_string)
    }
}

/// Returns a host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    inner.unwrap_or(host)
}

/// Returns whether the error means that the server has ended a connection that was open.
pub(super) fn is_stale(error: &hyper::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let ended = [
        BrokenPipe,
        ConnectionAborted,
        ConnectionReset,
        UnexpectedEof,
    ];
    let of_io = super::failure::io_of(error).is_some_and(|e| ended.contains(&e.kind()));
    of_io || error.is_canceled() || error.is_closed() || error.is_incomplete_message()
}
