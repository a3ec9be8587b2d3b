//! One request over https: a deadline for all of it, an answer of bounded size, no redirection, no cookie, no cache.
//!
//! Plain http goes to this host alone: what is sent has tokens in it.

mod connect;
mod forge;
mod url;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONNECTION, HOST, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use rustls::ClientConfig;
use thiserror::Error;

pub use connect::trust;
pub use forge::{Forge, secret};
pub use hyper::Method;
pub use hyper::header;
pub use url::{Url, UrlError};

/// The trusted authorities, as Debian's package ca-certificates keeps them.
pub const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The most bytes of an answer that are read.
pub const LARGEST_ANSWER: usize = 1024 * 1024;

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The address.
    pub url: Url,
    /// Headers beside those that every request has.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// How long the server asks to wait, if it does so in seconds.
    pub retry_after: Option<Duration>,
    /// The value of the header `link`, by which some forges name the next page.
    pub link: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer. The message names the server, never the path: paths of some services are secrets.
#[derive(Debug, Error)]
pub enum WebError {
    /// The server cannot be reached, or the connection broke.
    #[error("{server}: {why}")]
    Unreachable {
        /// Host and port.
        server: String,
        /// Why, in the words of the kernel or the library.
        why: String,
    },
    /// Not all of the answer came in time.
    #[error("{server}: no answer within {} s", within.as_secs())]
    TimedOut {
        /// Host and port.
        server: String,
        /// The deadline.
        within: Duration,
    },
    /// The answer is larger than [`LARGEST_ANSWER`].
    #[error("{server}: an answer of more than {LARGEST_ANSWER} bytes")]
    TooLarge {
        /// Host and port.
        server: String,
    },
    /// The file of trusted authorities cannot be used.
    #[error("the authorities to trust cannot be read from {}: {why}; install ca-certificates, or name another file of PEM with ca_file", file.display())]
    Authorities {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// Asks servers, whose certificates one file of authorities vouches for.
#[derive(Debug, Clone)]
pub struct Client {
    authorities: PathBuf,
    tls: OnceLock<Arc<ClientConfig>>,
    proxy: Option<Url>,
    agent: &'static str,
}

impl Client {
    /// Makes a client. `authorities` is the file of those who vouch for servers, which is read when it is needed first;
    /// `agent` the name that servers are told; `proxy` is asked for connections over https, if there is one.
    #[must_use]
    pub fn new(authorities: &Path, proxy: Option<Url>, agent: &'static str) -> Self {
        Self {
            authorities: authorities.to_owned(),
            tls: OnceLock::new(),
            proxy,
            agent,
        }
    }

    /// Reads the file of trusted authorities, unless that was done.
    ///
    /// # Errors
    /// [`WebError::Authorities`].
    pub fn trust(&self) -> Result<(), WebError> {
        self.tls().map(drop)
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, WebError> {
        if let Some(tls) = self.tls.get() {
            return Ok(Arc::clone(tls));
        }
        let tls = connect::trust(&self.authorities).map_err(|why| WebError::Authorities {
            file: self.authorities.clone(),
            why,
        })?;
        Ok(Arc::clone(self.tls.get_or_init(|| tls)))
    }

    /// Sends a request, and waits for the whole answer.
    ///
    /// # Errors
    /// There is no answer. A status that tells of an error is an answer.
    pub fn ask(&self, request: &Request, within: Duration) -> Result<Answer, WebError> {
        if request.url.is_encrypted() {
            self.trust()?;
        }
        let server = request.url.authority().to_string();
        let broken = |why: String| WebError::Unreachable {
            server: server.clone(),
            why,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| broken(error.to_string()))?;
        let answer =
            runtime.block_on(async { tokio::time::timeout(within, self.exchange(request)).await });
        match answer {
            Ok(answer) => answer,
            Err(_) => Err(WebError::TimedOut { server, within }),
        }
    }

    async fn exchange(&self, request: &Request) -> Result<Answer, WebError> {
        let url = &request.url;
        let server = url.authority().to_string();
        let broken = |why: String| WebError::Unreachable {
            server: server.clone(),
            why,
        };
        let (mut sender, driver) = connect::open(self, url).await.map_err(broken)?;
        let driver = tokio::spawn(driver);
        let mut message = hyper::Request::builder()
            .method(request.method.clone())
            .uri(url.path())
            .header(HOST, url.authority().as_str())
            .header(USER_AGENT, self.agent)
            .header(CONNECTION, "close");
        for (name, value) in &request.headers {
            message = message.header(name, value);
        }
        let message = message.body(Full::new(Bytes::from(request.body.clone())));
        let message = message.map_err(|error| broken(error.to_string()))?;
        let answer = sender.send_request(message).await;
        let answer = answer.map_err(|error| broken(told(&error)))?;
        let text = |name| {
            answer
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let seconds = text(RETRY_AFTER).and_then(|value| value.trim().parse().ok());
        let link = text(hyper::header::LINK).map(str::to_owned);
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), LARGEST_ANSWER)
            .collect()
            .await;
        driver.abort();
        let body = body.map_err(
            |error| match error.is::<http_body_util::LengthLimitError>() {
                true => WebError::TooLarge {
                    server: server.clone(),
                },
                false => broken(error.to_string()),
            },
        )?;
        Ok(Answer {
            status,
            retry_after: seconds.map(Duration::from_secs),
            link,
            body: body.to_bytes().to_vec(),
        })
    }
}

/// An error with what caused it: hyper's own words say little.
fn told(error: &hyper::Error) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
