//! A conversation over https as something that reads and writes, with a deadline and a byte budget.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use ureq::http::{HeaderValue, Response, header};
use ureq::{Agent, Body, BodyReader};

use super::error::HttpsError;
use super::token::Token;
use super::{HttpsOptions, failure, redirect, roots};
use crate::process::child::AbortReason;
use crate::stop;

/// Most redirections followed; a repository seldom moves twice.
const MOST_REDIRECTS: usize = 4;

/// Most that is read of an answer that should be over, so that its connection can be used again.
const REMAINDER: u64 = 4096;

/// Content types of git's (gitprotocol-http(5)).
const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
const REQUEST: &str = "application/x-git-upload-pack-request";
const RESULT: &str = "application/x-git-upload-pack-result";

/// What we call ourselves to the server.
const USER_AGENT: &str = concat!("git/pp-fetcher-", env!("CARGO_PKG_VERSION"));

/// A conversation. What is written is collected and sent by a flush; what is read is the answer.
/// The first read, with nothing asked before it, gets the server's greeting.
pub(crate) struct Https {
    agent: Agent,
    options: HttpsOptions,
    /// The repository's address; another one of the same server after a redirection.
    base: String,
    authorization: Option<HeaderValue>,
    deadline: Instant,
    left: u64,
    asked: Vec<u8>,
    answer: Option<BodyReader<'static>>,
    aborted: Option<AbortReason>,
    failed: Option<HttpsError>,
}

impl Https {
    /// Gets ready for a conversation about the repository at `path` of `host`: reads token and
    /// authorities. Nothing is sent yet.
    ///
    /// # Errors
    /// [`HttpsError::Token`], [`HttpsError::Roots`].
    pub(crate) fn new(
        host: &str,
        path: &str,
        options: &HttpsOptions,
        deadline: Duration,
        budget: u64,
    ) -> Result<Self, HttpsError> {
        let deadline = Instant::now() + deadline;
        let token = options.token_file.as_deref().map(Token::read).transpose()?;
        let config = Agent::config_builder()
            .https_only(true)
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(options.proxy.clone())
            .timeout_connect(Some(Duration::from_secs(options.connect_timeout.into())))
            .user_agent(USER_AGENT)
            .tls_config(roots::tls(&options.ca_file)?)
            .build();
        Ok(Self {
            agent: config.new_agent(),
            options: options.clone(),
            base: format!("https://{host}{}", path.trim_end_matches('/')),
            authorization: token.and_then(|token| token.header(&options.username)),
            deadline,
            left: budget,
            asked: Vec::new(),
            answer: None,
            aborted: None,
            failed: None,
        })
    }

    /// When everything ends.
    #[must_use]
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Why reading or writing was cut off, if it was by us.
    #[must_use]
    pub(crate) fn abort_reason(&self) -> Option<AbortReason> {
        self.aborted
    }

    /// Why it failed, if reading or writing did, and not by our cutting it off.
    pub(in crate::git) fn failure(&mut self) -> Option<HttpsError> {
        self.failed.take()
    }

    /// Asks for the greeting, where the repository has moved to if need be.
    fn greet(&mut self) -> io::Result<()> {
        for _ in 0..=MOST_REDIRECTS {
            let url = format!("{}{}", self.base, redirect::GREETING);
            let request = self.agent.get(&url).config();
            let mut request = request.timeout_global(Some(self.remaining())).build();
            if let Some(headers) = request.headers_mut() {
                self.sign(headers);
            }
            let response = request.call().map_err(|e| self.broken(e))?;
            let location = response.headers().get(header::LOCATION);
            match location.filter(|_| response.status().is_redirection()) {
                Some(location) => {
                    let to = String::from_utf8_lossy(location.as_bytes());
                    self.base = redirect::followed(&self.base, &to).map_err(|e| self.fail(e))?;
                }
                None => return self.take(response, ADVERTISEMENT),
            }
        }
        let to = self.base.clone();
        Err(self.fail(HttpsError::Redirected { to }))
    }

    /// Sends what was written.
    fn ask(&mut self) -> io::Result<()> {
        self.finish();
        let asked = std::mem::take(&mut self.asked);
        let response = match self.post(&asked) {
            // A server may end a connection that it had promised to keep, and what we ask changes
            // nothing there.
            Err(error) if failure::is_stale(&error) => self.post(&asked),
            other => other,
        };
        let response = response.map_err(|e| self.broken(e))?;
        self.take(response, RESULT)
    }

    fn post(&self, asked: &[u8]) -> Result<Response<Body>, ureq::Error> {
        let url = format!("{}/git-upload-pack", self.base);
        let request = self.agent.post(&url).config();
        let mut request = request.timeout_global(Some(self.remaining())).build();
        if let Some(headers) = request.headers_mut() {
            self.sign(headers);
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(REQUEST));
            headers.insert(header::ACCEPT, HeaderValue::from_static(RESULT));
        }
        request.send(asked)
    }

    /// Says which protocol we want and who we are.
    fn sign(&self, headers: &mut ureq::http::HeaderMap) {
        headers.insert("git-protocol", HeaderValue::from_static("version=2"));
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
    }

    /// Takes an answer for reading, if it is one of git's.
    fn take(&mut self, response: Response<Body>, wanted: &'static str) -> io::Result<()> {
        let token = self.authorization.is_some();
        let failed = match response.status().as_u16() {
            200 => None,
            status @ (401 | 403) => Some(HttpsError::Denied { status, token }),
            404 | 410 => Some(HttpsError::NoRepository { token }),
            status => Some(HttpsError::Status { status }),
        };
        if let Some(error) = failed {
            return Err(self.fail(error));
        }
        let found = response.headers().get(header::CONTENT_TYPE);
        let found = found.map(|v| crate::util::text::line(v.as_bytes()));
        let found = found.unwrap_or_else(|| "without a type".into());
        let kind = found.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case(wanted) {
            return Err(self.fail(HttpsError::NotGit { found, wanted }));
        }
        self.answer = Some(response.into_body().into_reader());
        Ok(())
    }

    /// Ends the answer before. Where nothing of it is left, its connection serves the next request;
    /// otherwise it is closed.
    fn finish(&mut self) {
        if let Some(answer) = self.answer.take() {
            let _ = io::copy(&mut answer.take(REMAINDER), &mut io::sink());
        }
    }

    fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// What the library says, kept for the message; at the deadline and after a failure the
    /// connection is closed.
    fn broken(&mut self, error: ureq::Error) -> io::Error {
        if failure::is_deadline(&error) {
            self.answer = None;
            self.aborted = Some(AbortReason::Deadline);
            return io::ErrorKind::TimedOut.into();
        }
        let error = failure::classify(error, &self.options);
        self.fail(error)
    }

    fn fail(&mut self, error: HttpsError) -> io::Error {
        self.answer = None;
        let text = io::Error::other(error.to_string());
        self.failed = Some(error);
        text
    }
}

impl Read for Https {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.aborted.is_some() || self.failed.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        // Seen between two reads: a server that stalls is waited for until the deadline.
        if stop::stop_requested() {
            self.answer = None;
            self.aborted = Some(AbortReason::Stopped);
            return Err(io::Error::other("told to stop"));
        }
        if self.answer.is_none() {
            self.greet()?;
        }
        let Some(answer) = &mut self.answer else {
            return Ok(0);
        };
        let n = match answer.read(buffer) {
            Ok(n) => n,
            Err(error) => return Err(self.broken(error.into())),
        };
        match self.left.checked_sub(n as u64) {
            Some(left) => self.left = left,
            None => {
                self.answer = None;
                self.aborted = Some(AbortReason::Budget);
                return Err(io::Error::other("more bytes than allowed"));
            }
        }
        Ok(n)
    }
}

impl Write for Https {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.asked.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.ask()
    }
}
